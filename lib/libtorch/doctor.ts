import { readFile } from 'node:fs/promises';

import { messageOf } from '../base/errors.ts';
import { findLibtorch } from './find.ts';
import { currentHost } from './inspect/elf.ts';
import { loadInChild } from './inspect/prove.ts';
import { addonPath, loadAddon } from './load.ts';
import { python, runProgram } from './program.ts';
import { checkSystem, describeRuntime } from './runtime.ts';

/** One thing that was looked at. Without `isNeeded` a failure is worth knowing and nothing more. */
export type DoctorCheck = {
  name: string;
  ok: boolean;
  isNeeded: boolean;
  detail: string;
  remedy?: string;
};

export type DoctorReport = {
  /** Whether everything that is needed to run is there. */
  ok: boolean;
  checks: DoctorCheck[];
};

type Probe = { name: string; isNeeded: boolean; remedy?: string; look: () => Promise<string> };

const oldestNode = [20, 19] as const;
const buildRemedy = 'needed only to build the addon from source';

const probes: readonly Probe[] = [
  { name: 'Node.js', isNeeded: true, remedy: `install Node.js ${oldestNode.join('.')} or newer`, look: nodeVersion },
  { name: 'platform', isNeeded: true, look: platform },
  { name: 'addon', isNeeded: true, look: async () => addonPath() },
  { name: 'LibTorch', isNeeded: true, look: libtorch },
  { name: 'loading', isNeeded: true, look: loading },
  { name: 'speed', isNeeded: false, look: speed },
  { name: 'sharp', isNeeded: true, remedy: 'npm install sharp', look: sharpVersion },
  { name: 'GPU driver', isNeeded: false, remedy: 'needed only for CUDA: install the NVIDIA driver', look: gpuDriver },
  {
    name: 'CUDA devices',
    isNeeded: false,
    remedy: 'needed only for CUDA: npx dinov3-det install --cuda',
    look: cudaDevices,
  },
  { name: python, isNeeded: false, remedy: 'needed only to install LibTorch through pip', look: pip },
  { name: 'CMake', isNeeded: false, remedy: buildRemedy, look: () => firstLine('cmake', '--version') },
  { name: 'C++ compiler', isNeeded: false, remedy: buildRemedy, look: compiler },
];

/** Looks at everything that running and building need. Never throws: what fails is a check that is not `ok`. */
export async function doctor(): Promise<DoctorReport> {
  const checks: DoctorCheck[] = [];
  for (const probe of probes) checks.push(await check(probe));
  return { ok: checks.every(({ ok, isNeeded }) => ok || !isNeeded), checks };
}

/** The report for people: one line per check, and the remedy below a failed one. */
export function formatReport({ ok, checks }: DoctorReport): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  const lines = checks.flatMap((check) => {
    const indent = ' '.repeat(width + 8);
    const mark = check.ok ? 'ok  ' : check.isNeeded ? 'FAIL' : '-   ';
    const line = `${mark}  ${check.name.padEnd(width)}  ${check.detail.replaceAll('\n', `\n${indent}`)}`;
    return check.remedy === undefined ? [line] : [line, `${indent}-> ${check.remedy}`];
  });
  return [...lines, ok ? 'Everything that is needed is there.' : 'Something that is needed is missing.'].join('\n');
}

async function check({ name, isNeeded, remedy, look }: Probe): Promise<DoctorCheck> {
  try {
    return { name, ok: true, isNeeded, detail: await look() };
  } catch (error) {
    return { name, ok: false, isNeeded, detail: messageOf(error), ...(remedy === undefined ? {} : { remedy }) };
  }
}

async function nodeVersion(): Promise<string> {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number];
  const isNewEnough = major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1]);
  if (!isNewEnough) throw new Error(`${process.version} is too old`);
  return describeRuntime();
}

async function platform(): Promise<string> {
  checkSystem();
  const { glibc } = currentHost();
  const libc = process.platform !== 'linux' || glibc === undefined ? '' : `, glibc ${glibc}`;
  return `${process.platform} ${process.arch}${libc}`;
}

async function libtorch(): Promise<string> {
  const { version, variant, dir, source } = await findLibtorch();
  return `${version} (${variant}) in ${dir}, found through ${source}`;
}

async function loading(): Promise<string> {
  const { location } = await loadAddon();
  return `the addon runs on LibTorch ${location.version}`;
}

/** Which ways of going faster this machine has; the others take a plain path with the same result. */
async function speed(): Promise<string> {
  const { addon } = await loadAddon();
  const levers = (addon as { levers: () => { name: string; active: boolean; reason: string }[] }).levers();
  const active = levers.filter((lever) => lever.active).map(({ name }) => name);
  const missing = levers.filter((lever) => !lever.active).map(({ name, reason }) => `without ${name}: ${reason}`);
  return [active.join(', '), ...missing].join('; ');
}

async function sharpVersion(): Promise<string> {
  const { default: sharp } = await import('sharp');
  return `${sharp.versions.sharp}, libvips ${sharp.versions.vips}`;
}

async function gpuDriver(): Promise<string> {
  const version = await readFile('/proc/driver/nvidia/version', 'utf8').then(
    (text) => text.split('\n')[0]!.trim(),
    () => firstLine('nvidia-smi', '--query-gpu=name,driver_version', '--format=csv,noheader'),
  );
  await loadInChild([process.platform === 'win32' ? 'nvcuda.dll' : 'libcuda.so.1']);
  return version;
}

async function cudaDevices(): Promise<string> {
  const { addon, location } = await loadAddon();
  const { cudaDeviceCount } = addon as { cudaDeviceCount?: () => number };
  const count = cudaDeviceCount?.() ?? 0;
  if (count === 0) throw new Error(`LibTorch (${location.variant}) sees no CUDA device`);
  return `${count} seen by LibTorch`;
}

function pip(): Promise<string> {
  return firstLine(python, '-m', 'pip', '--version');
}

async function compiler(): Promise<string> {
  const candidates = process.platform === 'win32' ? ['cl'] : [process.env.CXX ?? 'c++', 'g++', 'clang++'];
  for (const candidate of candidates) {
    const version = await firstLine(candidate, '--version').catch(() => undefined);
    if (version !== undefined) return version;
  }
  throw new Error(`none of ${candidates.join(', ')} is on PATH`);
}

async function firstLine(command: string, ...args: string[]): Promise<string> {
  return (await runProgram(command, args)).trim().split('\n')[0]!;
}
