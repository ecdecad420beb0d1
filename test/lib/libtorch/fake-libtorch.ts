import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';

/** A new empty folder. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'dinov3-det-libtorch-'));
}

const machines = { x64: 62, arm64: 183 };

/** The first bytes of an ELF shared library for `arch`, then `strings`. */
export function fakeLibrary(arch = process.arch, strings = 'GLIBC_2.17\0GLIBC_2.2.5\0'): Buffer {
  const header = Buffer.alloc(64);
  header.write('\x7fELF', 'latin1');
  header[4] = 2;
  header[5] = 1;
  header.writeUInt16LE(3, 16);
  header.writeUInt16LE(machines[arch as keyof typeof machines], 18);
  return Buffer.concat([header, Buffer.from(strings)]);
}

/** The files of a LibTorch that looks right without being loaded, with some that an install leaves out. */
export function fakeFiles({
  version = '2.13.0+cpu',
  cuda = false,
  library = fakeLibrary(),
} = {}): Record<string, Buffer> {
  const libraries = cuda ? ['c10', 'torch_cpu', 'torch', 'c10_cuda', 'torch_cuda'] : ['c10', 'torch_cpu', 'torch'];
  return {
    ...Object.fromEntries(libraries.map((name) => [`lib/lib${name}.so`, library])),
    'lib/libgomp.so.1': library,
    'lib/libtorch_python.so': library,
    'lib/libjitbackend_test.so': library,
    'lib/libshm/x.h': Buffer.from('unneeded'),
    'include/ATen/ATen.h': Buffer.from('#pragma once\n'),
    'share/cmake/Torch/TorchConfig.cmake': Buffer.from('# cmake\n'),
    'nn/modules.py': Buffer.from('unneeded'),
    'version.py': Buffer.from(`from typing import Optional\n__version__ = '${version}'\n`),
  };
}

/** What an install keeps of `fakeFiles`. */
export const keptFiles = [
  'include/ATen/ATen.h',
  'installed.json',
  'lib/libc10.so',
  'lib/libgomp.so.1',
  'lib/libtorch.so',
  'lib/libtorch_cpu.so',
  'share/cmake/Torch/TorchConfig.cmake',
  'version.py',
];

export async function writeFiles(dir: string, files: Record<string, Buffer>): Promise<string> {
  for (const [name, contents] of Object.entries(files)) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), contents);
  }
  return dir;
}

/** A wheel or archive with these files below `prefix`. */
export async function writeZip(path: string, prefix: string, files: Record<string, Buffer>): Promise<string> {
  await writeFile(path, makeZip(Object.entries(files).map(([name, data]) => ({ name: prefix + name, data }))));
  return path;
}

export type ZipPart = {
  name: string;
  data: Buffer;
  /** Default true. */
  isDeflated?: boolean;
  /** Lies, for hostile archives. */
  size?: number;
  crc?: number;
  flags?: number;
  method?: number;
  offset?: number;
};

/** A zip archive, written byte by byte after the APPNOTE. */
export function makeZip(parts: readonly ZipPart[], { zip64 = false } = {}): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const part of parts) {
    const { name, data, isDeflated = true, size = data.length, crc = crc32(data), flags = 0 } = part;
    const packed = isDeflated ? deflateRawSync(data) : data;
    const fileName = Buffer.from(name);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(fileName.length, 26);
    bodies.push(local, fileName, packed);
    const extra = zip64 ? Buffer.alloc(28) : Buffer.alloc(0);
    const entry = Buffer.alloc(46);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(flags, 8);
    entry.writeUInt16LE(part.method ?? (isDeflated ? 8 : 0), 10);
    entry.writeUInt32LE(crc, 16);
    entry.writeUInt16LE(fileName.length, 28);
    entry.writeUInt16LE(extra.length, 30);
    const numbers = [size, packed.length, part.offset ?? at];
    for (const [i, position] of [24, 20, 42].entries()) {
      entry.writeUInt32LE(zip64 ? 0xffffffff : numbers[i]!, position);
      if (zip64) extra.writeBigUInt64LE(BigInt(numbers[i]!), 4 + 8 * i);
    }
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
    }
    directory.push(entry, fileName, extra);
    at += local.length + fileName.length + packed.length;
  }
  const central = Buffer.concat(directory);
  return Buffer.concat([...bodies, central, endOf(parts.length, at, central.length, zip64)]);
}

function endOf(count: number, offset: number, size: number, zip64: boolean): Buffer {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  for (const field of [8, 10]) end.writeUInt16LE(zip64 ? 0xffff : count, field);
  end.writeUInt32LE(zip64 ? 0xffffffff : size, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  if (!zip64) return end;
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  for (const field of [24, 32]) record.writeBigUInt64LE(BigInt(count), field);
  record.writeBigUInt64LE(BigInt(size), 40);
  record.writeBigUInt64LE(BigInt(offset), 48);
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + size), 8);
  return Buffer.concat([record, locator, end]);
}
