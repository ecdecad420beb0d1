/**
 * The version of this package, as in package.json; a test compares. It stands here because a program into which this library is bundled
 * has a package.json of its own.
 */
export const version = '0.1.0';
