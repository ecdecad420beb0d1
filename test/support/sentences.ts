const MAX_WORDS = 25;

/** The sentences of Markdown: paragraphs, list items, headings and cells. Code counts as one word, a link as its text. */
export function sentencesOf(markdown: string): string[] {
  return markdown
    .replace(/<!--[\s\S]*?-->/g, '')
    .replace(/`[^`]*`/g, 'CODE')
    .replaceAll('**', '')
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .split(/\n\s*\n|\n(?=\s*(?:-|\d+\.|#+|\|) ?)|\|/)
    .map((part) => part.replace(/^\s*(-|\d+\.|#+) /, '').replace(/\s+/g, ' '))
    .flatMap((part) => part.split(/(?<=[.!?:;]) /))
    .map((sentence) => sentence.trim())
    .filter((sentence) => sentence !== '');
}

/** The docstrings of TypeScript as Markdown, without examples. A tag such as `@throws` begins a paragraph. */
export function docstringsOf(source: string): string[] {
  return [...source.matchAll(/\/\*\*([\s\S]*?)\*\//g)].map(([, text]) =>
    text!
      .replace(/^[ \t]*\* ?/gm, '')
      .replace(/@example\b[\s\S]*?(?=^@|$(?![\s\S]))/gm, '')
      .replace(/(?<!\w)@(?:param \w+|[a-z]\w*)(?: \{[^}]*\})?/gi, '\n\n')
      .trim(),
  );
}

type Rule = (sentence: string) => string[];

const rule =
  (pattern: RegExp, complaint: string): Rule =>
  (sentence) =>
    pattern.test(sentence) ? [`${complaint}: ${sentence}`] : [];

const isShort: Rule = (sentence) =>
  sentence.split(' ').length > MAX_WORDS ? [`more than ${MAX_WORDS} words: ${sentence}`] : [];

/** The rules of every sentence that we publish. Each returns its complaints. */
export const rules: readonly Rule[] = [
  isShort,
  rule(/\bpictures?\b/i, 'an image is an image'),
  rule(/in the place of/, 'instead of'),
  rule(/(?<![\w.)/])\.\d/, 'numbers have a leading zero'),
];

/** The rules of a docstring, which has no context: its subject comes first. */
export const docstringRules: readonly Rule[] = [
  ...rules,
  rule(/^(?:of|what|such|told|those)\b/i, 'the subject comes first'),
  rule(/\busual(?:ly)?\b/i, 'default'),
];

/** What the rules find wrong with a text. */
export function complaintsAbout(markdown: string, broken: readonly Rule[] = rules): string[] {
  return sentencesOf(markdown).flatMap((sentence) => broken.flatMap((complaints) => complaints(sentence)));
}
