import { crc32, deflateRawSync } from 'node:zlib';

/** A zip archive of stored entries, in this order; a name may come twice. `patch` may break a central record before it is written. */
export function storedZip(
  entries: readonly (readonly [name: string, content: Buffer])[],
  patch?: (central: Buffer, index: number) => void,
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [index, [name, content]] of entries.entries()) {
    const nameBytes = Buffer.from(name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt32LE(crc32(content), 14);
    local.writeUInt32LE(content.length, 18);
    local.writeUInt32LE(content.length, 22);
    local.writeUInt16LE(nameBytes.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    local.copy(central, 12, 10, 30);
    central.writeUInt32LE(offset, 42);
    patch?.(central, index);
    parts.push(local, nameBytes, content);
    directory.push(central, nameBytes);
    offset += 30 + nameBytes.length + content.length;
  }
  const directoryBytes = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directoryBytes, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}

/** The same, with one of the entries deflated, as zip programs do; it may claim another size. */
export function zipWithDeflated(
  entries: readonly (readonly [name: string, content: Buffer])[],
  name: string,
  content: Buffer,
  claimed = content.length,
): Buffer {
  const packed = deflateRawSync(content);
  const archive = storedZip(
    entries.map(([path, bytes]) => [path, path === name ? packed : bytes]),
    (central, index) => {
      if (entries[index]![0] !== name) return;
      central.writeUInt16LE(8, 10);
      central.writeUInt32LE(crc32(content), 16);
      central.writeUInt32LE(claimed, 24);
    },
  );
  archive.writeUInt16LE(8, archive.indexOf(name) - 30 + 8);
  return archive;
}
