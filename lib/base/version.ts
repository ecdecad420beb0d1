/**
 * The version of this package. A test compares it with package.json, which a program that bundles this library does not have.
 */
export const version = '0.1.0';
