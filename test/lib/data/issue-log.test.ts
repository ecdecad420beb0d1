import { expect, it } from 'vitest';
import { type DatasetIssue, formatIssues } from '../../../lib/data/dataset-issue.ts';
import { IssueLog } from '../../../lib/data/issue-log.ts';

const missing = (file: string): DatasetIssue => ({
  file,
  kind: 'image-missing',
  message: 'no image',
  action: 'skipped',
});
const clipped = (object: number): DatasetIssue => ({
  ...{ file: 'a.xml', object, kind: 'box-clipped', message: 'beyond the image', action: 'repaired' },
});

it('keeps the first issues of each kind in their order, and counts the others', () => {
  const log = new IssueLog();
  for (let i = 0; i < 2500; i++) {
    log.add(missing(`${i}.xml`));
    if (i < 3) log.add(clipped(i));
  }
  const list = log.list();
  expect(list).toHaveLength(1003);
  expect(list.slice(0, 3)).toEqual([missing('0.xml'), clipped(0), missing('1.xml')]);
  expect(list.at(-1)).toEqual({
    ...missing('999.xml'),
    message: 'no image (and 1500 more of this kind)',
    count: 1501,
  });
  expect(log.lostFiles).toBe(2500);
  expect(log.files.size).toBe(2500);
  const text = formatIssues(list, 2);
  expect(text).toContain('2503 issues: 2500 image-missing (skipped), 3 box-clipped (repaired)');
  expect(text).toContain('... and 2501 more');
});

it('goes on counting what another log has counted', () => {
  const [first, second] = [new IssueLog(), new IssueLog()];
  for (let i = 0; i < 1200; i++) first.add(missing(`${i}.xml`));
  second.add(missing('other.xml'));
  second.addLog(first);
  expect(second.lostFiles).toBe(1201);
  expect(second.files.size).toBe(1201);
  expect(second.list().reduce((sum, { count = 1 }) => sum + count, 0)).toBe(1201);
});

it('what is listed twice, and a lost object, is no lost file', () => {
  const log = new IssueLog();
  log.add({ file: 'train.txt', kind: 'duplicate-id', message: 'twice', action: 'skipped' });
  log.add({ file: 'a.xml', object: 0, kind: 'box-empty', message: 'empty', action: 'skipped' });
  expect(log.lostFiles).toBe(0);
});
