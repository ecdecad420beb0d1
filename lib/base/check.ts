/** Checks of arguments. Every wrong argument of the library gets the same wording. */

/** The message for a wrong argument, for example `Expected integer >= 1 for epochs but received 0 of type number`. */
export function wrongArgument(name: string, expected: string, actual: unknown): string {
  const shown = typeof actual === 'string' ? JSON.stringify(actual) : typeof actual === 'object' ? '' : String(actual);
  const kind = actual === null ? 'null' : Array.isArray(actual) ? 'array' : typeof actual;
  return `Expected ${expected} for ${name} but received ${shown === '' ? kind : `${shown.slice(0, 80)} of type ${kind}`}`;
}

/** Checks that a value is an integer in [min, max]. @throws {TypeError} for another type; {RangeError} for another value */
export function checkInteger(name: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const range = max === Number.MAX_SAFE_INTEGER ? `integer >= ${min}` : `integer from ${min} to ${max}`;
  if (typeof value !== 'number') throw new TypeError(wrongArgument(name, range, value));
  if (!Number.isInteger(value) || value < min || value > max) throw new RangeError(wrongArgument(name, range, value));
  return value;
}

/** Checks that a value is a finite number in [min, max]. */
export function checkNumber(name: string, value: unknown, min: number, max = Number.POSITIVE_INFINITY): number {
  const range = max === Number.POSITIVE_INFINITY ? `number >= ${min}` : `number from ${min} to ${max}`;
  if (typeof value !== 'number') throw new TypeError(wrongArgument(name, range, value));
  if (!Number.isFinite(value) || value < min || value > max) throw new RangeError(wrongArgument(name, range, value));
  return value;
}

/** Checks that a value is a finite number above zero. */
export function checkPositive(name: string, value: unknown): number {
  if (typeof value !== 'number') throw new TypeError(wrongArgument(name, 'number > 0', value));
  if (!Number.isFinite(value) || value <= 0) throw new RangeError(wrongArgument(name, 'number > 0', value));
  return value;
}

/** Checks that a value is a non-empty string. */
export function checkString(name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new TypeError(wrongArgument(name, 'non-empty string', value));
  return value;
}

export function checkBoolean(name: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(wrongArgument(name, 'boolean', value));
  return value;
}

export function checkFunction<T>(name: string, value: T): T {
  if (typeof value !== 'function') throw new TypeError(wrongArgument(name, 'function', value));
  return value;
}

/** Checks that a value is in a closed list of strings. */
export function checkOneOf<T extends string>(name: string, value: unknown, allowed: readonly T[]): T {
  if (typeof value === 'string' && (allowed as readonly string[]).includes(value)) return value as T;
  const expected = `one of ${allowed.join(', ')}`;
  const hint = typeof value === 'string' ? suggestion(value, allowed) : '';
  throw new (typeof value === 'string' ? RangeError : TypeError)(wrongArgument(name, expected, value) + hint);
}

/** Checks that a value is an object, and no array. */
export function checkObject<T>(name: string, value: T): T {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) return value;
  throw new TypeError(wrongArgument(name, 'object', value));
}

/** More elements than any argument has: a sparse array claims 2^32 - 1 of them in a few bytes. */
const MAX_ELEMENTS = 10_000_000;

/** An array of so many elements; its holes are `undefined`, so that checks of elements see them. */
export function checkSequence(name: string, value: unknown, min = 0, max = MAX_ELEMENTS, words = 'array'): unknown[] {
  if (!Array.isArray(value)) throw new TypeError(wrongArgument(name, words, value));
  checkInteger(`${name}.length`, value.length, min, Math.min(max, MAX_ELEMENTS));
  return Array.from(value);
}

/** Checks that a value is an array with `min` to `max` numbers. `check` checks each number. */
export function checkNumbers(
  name: string,
  value: unknown,
  min: number,
  max: number,
  check: (name: string, value: unknown) => number = (each, number) =>
    checkNumber(each, number, Number.NEGATIVE_INFINITY),
): number[] {
  return checkSequence(name, value, min, max).map((element, index) => check(`${name}[${index}]`, element));
}

/** Checks that a value is a plain object with known keys only. An unknown key is an error with a suggestion. */
export function checkKeys(name: string, value: unknown, known: readonly string[]): Record<string, unknown> {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new TypeError(wrongArgument(name, 'object', value));
  }
  for (const key of Object.keys(value)) {
    if (!known.includes(key)) {
      throw new TypeError(`Unknown key "${key}" in ${name}${suggestion(key, known)}. Known keys: ${known.join(', ')}`);
    }
  }
  return value as Record<string, unknown>;
}

/** A hint such as `; did you mean "epochs"?` if a known word is similar, otherwise an empty string. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = known
    .map((candidate) => ({ candidate, distance: editDistance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= Math.max(1, Math.floor(candidate.length / 3)))
    .sort((a, b) => a.distance - b.distance)[0];
  return near ? `; did you mean "${near.candidate}"?` : '';
}

/** The Levenshtein distance between the first 64 characters of two words. */
function editDistance(first: string, second: string): number {
  const [a, b] = [first.slice(0, 64), second.slice(0, 64)];
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, substitution));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Copies an object without its undefined values, because they would hide defaults. */
export function withoutUndefined<T extends object>(value: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, option]) => option !== undefined)) as never;
}
