export function writePage(_check: boolean): boolean {
  return true;
}
