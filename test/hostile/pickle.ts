import { text, torchSave } from '../support/torch-save.ts';
import type { HostileFile } from './hostile-file.ts';

/** Files whose pickle breaks the rules of pickles themselves. */
const bodies: readonly (readonly [what: string, body: string, rule: string])[] = [
  ['an opcode that torch does not write', `${text('os')}${text('system')}\x93`, 'opcode 0x93'],
  ['an old opcode', 'I1\n', 'opcode 0x49'],
  ['the protocol again', '\x80\x02', 'protocol 2'],
  ['a call of a number', 'K\x00)R', 'calls something that is not a name'],
  ['a call without a tuple', 'ctorch\nSize\nK\x01R', 'calls something that is not a name'],
  ['an object with arguments', 'ctorch\nSize\n(K\x01t\x81', 'makes an object of no class'],
  ['an object', 'ctorch\nSize\n)\x81}b', 'makes an object of torch.Size'],
  ['a state for a number', 'K\x01}b', 'not a new object'],
  ['an unfinished object in a tuple', 'ctorch\nSize\n)\x81\x85', 'unfinished object'],
  ['an unfinished object in a list', '](ctorch\nSize\n)\x81e', 'unfinished object'],
  ['an unfinished object as result', 'ctorch\nSize\n)\x81', 'unfinished object'],
  ['a name in a dictionary', '}K\x01ctorch\nSize\ns', 'uses a name'],
  ['a gap in its memory', 'K\x01r\xff\xff\xff\x7f', 'out of order'],
  ['a memory that is not there', 'h\x00', 'did not remember'],
  ['a memory of nothing', 'q\x00', 'where there is none'],
  ['nothing', '', 'where there is none'],
  ['two results', 'NN', 'leaves values behind'],
  ['a mark as result', 'N(', 'where there is none'],
  ['a tuple without a mark', 'Nt', 'no mark'],
  ['a list of a mark', '](a', 'where there is none'],
  ['an append to a tuple', ')K\x01a', 'not a list'],
  ['an item of a list', ']K\x01K\x02s', 'not a dictionary'],
  ['half an item', '}(K\x01u', 'not a dictionary'],
  ['an integer of nine bytes', '\x8a\x09\0\0\0\0\0\0\0\0\0', 'more than 64 bits'],
  ['a text beyond the end', 'X\xff\xff\xff\x7fabc', 'cut short'],
];

export const hostilePickles: readonly HostileFile[] = bodies.map(([what, body, rule]) => [
  what,
  () => torchSave(body),
  rule,
]);
