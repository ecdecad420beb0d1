import { open, readFile } from 'node:fs/promises';

/** `e_machine` of an ELF header for each `process.arch` that LibTorch is built for. */
const machines: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

/** The system that a library would be loaded into. */
export type Host = {
  arch: string;
  /** Version of the GNU C library, undefined on musl. */
  glibc: string | undefined;
};

/** The system this process runs on. */
export function currentHost(): Host {
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  const excluded = report.excludeNetwork;
  report.excludeNetwork = true; // names of network peers would be looked up otherwise, for seconds
  try {
    const { header } = report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
    return { arch: process.arch, glibc: header.glibcVersionRuntime };
  } finally {
    if (excluded !== undefined) report.excludeNetwork = excluded;
  }
}

/** Why this shared object of Linux cannot be loaded on `host`: another format, architecture or C library; or undefined. */
export async function whyNotLoadable(path: string, host: Host): Promise<string | undefined> {
  const header = await readHeader(path);
  const isElf = header.length === 20 && header.readUInt32BE(0) === 0x7f454c46;
  if (!isElf) return `${path} is not an ELF shared library`;
  const isLittleEndian64 = header[4] === 2 && header[5] === 1;
  const built = architecture(header);
  if (!isLittleEndian64 || built !== host.arch) {
    return `${path} is built for ${built}, and this Node.js for ${host.arch}`;
  }
  return undefined;
}

/** What a shared object of Linux is built for: `x64`, `arm64`, `ELF machine 8`; undefined for another file. */
export async function architectureOf(path: string): Promise<string | undefined> {
  const header = await readHeader(path);
  return header.length === 20 && header.readUInt32BE(0) === 0x7f454c46 ? architecture(header) : undefined;
}

function architecture(header: Buffer): string {
  const machine = header.readUInt16LE(18);
  return Object.keys(machines).find((arch) => machines[arch] === machine) ?? `ELF machine ${machine}`;
}

/** Why a library (read whole: give a small one) does not fit the C library of `host`, or undefined. */
export async function whyWrongLibc(path: string, host: Host): Promise<string | undefined> {
  const bytes = await readFile(path);
  if (bytes.includes('libc.musl-')) {
    return host.glibc === undefined ? undefined : `${path} is built for musl, and this Node.js for glibc ${host.glibc}`;
  }
  const needed = newestGlibc(bytes.toString('latin1'));
  if (needed === undefined) return undefined;
  if (host.glibc === undefined) return `${path} needs glibc 2.${needed}, and this Node.js runs on musl`;
  const found = Number(host.glibc.split('.')[1]);
  return found >= needed ? undefined : `${path} needs glibc 2.${needed}, and this system has ${host.glibc}`;
}

/** The highest N of the symbol versions `GLIBC_2.N` in a library's string table. */
function newestGlibc(text: string): number | undefined {
  const versions = Array.from(text.matchAll(/GLIBC_2\.(\d+)/g), (match) => Number(match[1]));
  return versions.length === 0 ? undefined : versions.reduce((a, b) => Math.max(a, b));
}

async function readHeader(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(20), 0, 20, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
