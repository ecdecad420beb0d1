/**
 * A file that has to be refused: what it is, its bytes, and words of the message, which name the rule that it breaks. `target` is the
 * path that its program, were it run, would write.
 */
export type HostileFile = readonly [what: string, make: (target: string) => Buffer | Promise<Buffer>, rule: string];
