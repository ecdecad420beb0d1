import { setImmediate } from 'node:timers/promises';
import { allowedOperators } from './torchscript-operators.ts';

/** The error for code that breaks a rule. The message continues the words "its code". */
export class TorchScriptCodeError extends Error {
  override readonly name = 'TorchScriptCodeError';
}

interface Token {
  kind: 'name' | 'number' | 'string' | 'mark';
  text: string;
}

/** The declarations in the code of an archive. */
export interface Declarations {
  /** The qualified class names, such as `__torch__.torch.nn.modules.conv.Conv2d`. */
  classes: Set<string>;
  /** The names of attributes and methods. */
  members: Set<string>;
}

/** Functions of the language that reach no operator outside the allow-list. */
const BUILTINS = new Set(
  `annotate unchecked_cast uninitialized getattr hasattr isinstance int float bool str complex len range print list dict tuple min max
  abs all any sum round sorted zip enumerate ord chr hex oct bin hash divmod pow rangelist`.split(/\s+/),
);
const KEYWORDS = new Set(
  'class def return if else for in while pass None True False break continue with as'.split(' '),
);
/** Python's other keywords, which torch never writes, and the two that start threads. */
const REFUSED = new Set(
  'and or not is lambda del try except finally raise assert import from yield global nonlocal async await fork awaitable'.split(
    ' ',
  ),
);
const BASES = new Set(['Module', 'NamedTuple', 'Interface', 'ModuleInterface', 'Enum']);
/** Members that run by themselves when an object is loaded, saved or freed. */
const HOOKS = new Set(['__setstate__', '__getstate__', '__reduce__', '__del__']);
/** Tensor operators without bounds checks. No member of a class may have such a name, because a call could hide behind it. */
const UNSAFE_MEMBER =
  /^(_unsafe|_index_put_impl|_reshape_(alias|copy)|_copy_from|_resize|_nested|_sparse|_coalesced|_foreach|_fused|_weight_int|_scaled_(mm|grouped)|_cslt|_embedding_bag|_make_per|set_|resize_|sparse_resize|as_strided|record_stream|max_unpool|quantize|to_sparse|to_mkldnn)|_backward(_|$)|^(set_data|backward|fbgemm.*|mkldnn.*|put_?)$/;

const SPACES_MAX = 200;
const NESTING_MAX = 100;
/** The largest number of calls, indices and attributes in a statement. torch's parser and compiler recurse over them. */
const LINKS_MAX = 1000;
const STATEMENTS_PER_TURN = 500;
/** The largest number of distinct class and member names. A traced ViT-7B has hundreds. Together with LINKS_MAX it bounds memory. */
const NAMES_MAX = 10_000;
const TOKENS_MAX = 50_000;

/**
 * Checks the code of an archive against the subset of TorchScript that torch writes. It rejects anything that torch's parser could read
 * differently, and every operator outside the allow-list.
 * @param files the texts by qualified module name, such as `__torch__.torch.nn.modules.conv`
 * @throws {TorchScriptCodeError} naming the operator or the rule
 */
export async function checkCode(files: ReadonlyMap<string, string>): Promise<Declarations> {
  const declarations: Declarations = { classes: new Set(), members: new Set() };
  // Split twice, because the tokens of all statements would take fifty times the memory of the text.
  await forEachStatement(files, (statement, module) => declare(module, statement, declarations));
  await forEachStatement(files, (statement) => checkStatement(statement, declarations.members));
  return declarations;
}

async function forEachStatement(
  files: ReadonlyMap<string, string>,
  use: (statement: readonly Token[], module: string) => void,
): Promise<void> {
  let count = 0;
  for (const [module, text] of files) {
    for (const statement of splitStatements(text)) {
      use(statement, module);
      if (++count % STATEMENTS_PER_TURN === 0) await setImmediate();
    }
  }
}

/** The statements of a file as tokens. Within brackets a statement continues over line ends. */
function* splitStatements(text: string): Generator<Token[]> {
  const token =
    /(?<name>[A-Za-z_]\w*)|(?<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?j?)|(?<string>"(?:[^"\\\n]|\\[^\n])*")|->|[.,:=()[\]{}-]|(?<space> +)|\n/y;
  let statement: Token[] = [];
  let depth = 0;
  let links = 0;
  let previous: Token['kind'] = 'mark';
  while (token.lastIndex < text.length) {
    const at = token.lastIndex;
    const match = token.exec(text);
    if (match === null)
      throw new TorchScriptCodeError(`has ${JSON.stringify(text.slice(at, at + 20))}, which torch does not write`);
    const { name, number, string, space } = match.groups!;
    const [word] = match;
    const kind =
      name !== undefined ? 'name' : number !== undefined ? 'number' : string !== undefined ? 'string' : 'mark';
    if (kind !== 'mark' && previous !== 'mark')
      throw new TorchScriptCodeError(`has ${JSON.stringify(word.slice(0, 20))} glued to the word before it`);
    previous = kind;
    if (space !== undefined) {
      if (word.length > SPACES_MAX) throw new TorchScriptCodeError('is indented too deeply');
      continue;
    }
    if ('([{'.includes(word)) depth++;
    if (')]}'.includes(word)) depth--;
    if (word !== '\n' && statement.push({ kind, text: word }) > TOKENS_MAX)
      throw new TorchScriptCodeError('has a statement without end');
    if ('([{.-'.includes(word)) links++;
    if (depth < 0 || depth > NESTING_MAX || links > LINKS_MAX) throw new TorchScriptCodeError('is nested too deeply');
    if (word === '\n' && depth === 0) {
      if (statement.length > 0) yield statement;
      statement = [];
      links = 0;
    }
  }
  if (depth !== 0) throw new TorchScriptCodeError('ends within brackets');
  if (statement.length > 0) yield statement;
}

/** Records `class Name(...)`, `def name(...)`, `name : type` and `__annotations__["name"] = type`. */
function declare(module: string, statement: readonly Token[], { classes, members }: Declarations): void {
  const [first, second, third] = statement;
  if (first?.text === 'class' && second?.kind === 'name') classes.add(`${module}.${second.text}`);
  else if (first?.text === 'def' && second?.kind === 'name') members.add(second.text);
  else if (first?.kind === 'name' && second?.text === ':') members.add(first.text);
  else if (first?.text === '__annotations__' && third?.kind === 'string') members.add(third.text.slice(1, -1));
  if (classes.size + members.size > NAMES_MAX) throw new TorchScriptCodeError(`declares more than ${NAMES_MAX} names`);
}

function checkStatement(statement: readonly Token[], members: ReadonlySet<string>): void {
  const [first, second] = statement;
  if (first!.text === 'class' && !BASES.has(statement[3]?.text ?? '')) {
    throw new TorchScriptCodeError(`has a class ${second?.text} of an unknown kind`);
  }
  const declares = first!.text === 'class' || first!.text === 'def' ? 1 : second?.text === ':' ? 0 : -1;
  for (let i = 0; i < statement.length; i++) {
    const { kind, text } = statement[i]!;
    if (text === '.' && statement[i + 1]?.kind !== 'name') throw new TorchScriptCodeError('has a dot without a name');
    if (text === '[' && statement[i + 1]?.text === ']' && isOperand(statement[i - 1]))
      throw new TorchScriptCodeError('has brackets without an index, which end the process that loads it');
    if (kind !== 'name') continue;
    if (HOOKS.has(text)) throw new TorchScriptCodeError(hookMessage(text));
    if (i === declares) continue;
    if (statement[i - 1]?.text === '.') checkMember(text, members);
    else i = checkRoot(statement, i, members);
  }
}

/** Tells whether brackets after this token are an index instead of a list. */
function isOperand(token: Token | undefined): boolean {
  return token !== undefined && (token.kind === 'mark' ? ')]}'.includes(token.text) : !KEYWORDS.has(token.text));
}

/** Checks a name that stands alone or begins a dotted one. Returns the position of the last token that it has checked. */
function checkRoot(statement: readonly Token[], at: number, members: ReadonlySet<string>): number {
  const { text } = statement[at]!;
  const chain = [text];
  while (statement[at + 2 * chain.length - 1]?.text === '.') chain.push(statement[at + 2 * chain.length]?.text ?? '');
  switch (text) {
    case 'torch':
      checkOperator(`aten::${chain[1]}`);
      return at + 2;
    case 'ops':
      checkOperator(`${chain[1]}::${chain[2]}`);
      return at + 4;
    case 'CONSTANTS':
      if (!/^c\d+$/.test(chain[1] ?? '')) throw new TorchScriptCodeError('uses CONSTANTS in an unknown way');
      return at + 2;
    case '__torch__':
      if (chain[1] === 'torch' && chain[2] === 'classes') {
        throw new TorchScriptCodeError(
          `uses the native class ${chain.join('.')}, which is not on the list of allowed operators`,
        );
      }
      return at + 2 * (chain.length - 1);
    case 'getattr':
    case 'hasattr':
      checkGetattr(statement, at, members);
      return at;
  }
  const called = statement[at + 1]?.text === '(';
  const known = BUILTINS.has(text) || KEYWORDS.has(text) || /^_\d+$/.test(text);
  if (REFUSED.has(text) || (called && !known)) {
    throw new TorchScriptCodeError(`uses "${text}", which is not on the list of allowed operators`);
  }
  return at;
}

function hookMessage(name: string): string {
  return `has ${name}: hooks such as __setstate__ run by themselves when a file is loaded`;
}

function checkOperator(name: string): void {
  if (!allowedOperators.has(name)) {
    throw new TorchScriptCodeError(`uses the operator ${name}, which is not on the list of allowed operators`);
  }
}

/** Checks `x.name`: a member of a class of this archive, or an allowed operator as a method. */
function checkMember(name: string, members: ReadonlySet<string>): void {
  if (allowedOperators.has(`aten::${name}`) || allowedOperators.has(`prim::${name}`)) return;
  if (!members.has(name) || UNSAFE_MEMBER.test(name)) {
    throw new TorchScriptCodeError(`uses ".${name}", which is not on the list of allowed operators`);
  }
}

/** Checks `getattr(x, "name")`, which is `x.name` for names that are not identifiers, such as "0". */
function checkGetattr(statement: readonly Token[], at: number, members: ReadonlySet<string>): void {
  let depth = 0;
  let end = at + 1;
  do {
    if ('([{'.includes(statement[end]?.text ?? ')')) depth++;
    else if (')]}'.includes(statement[end]?.text ?? ')')) depth--;
    end++;
  } while (depth > 0);
  const name = statement[end - 2];
  if (statement[end - 3]?.text !== ',' || name?.kind !== 'string' || name.text.includes('\\')) {
    throw new TorchScriptCodeError('uses getattr without the plain name of an attribute');
  }
  const bare = name.text.slice(1, -1);
  if (HOOKS.has(bare)) throw new TorchScriptCodeError(hookMessage(bare));
  if (/^[A-Za-z_]\w*$/.test(bare)) checkMember(bare, members);
}
