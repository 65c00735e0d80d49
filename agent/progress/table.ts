export type Column = { readonly title: string; readonly align: 'left' | 'right' };

/** Rows of plain text in columns two apart, a title row first. Cells must not hold colours: they are measured. */
export function drawTable(columns: readonly Column[], rows: readonly (readonly string[])[]): readonly string[] {
  const titled = [columns.map(({ title }) => title), ...rows];
  const widths = columns.map((_column, index) => Math.max(...titled.map(row => row[index]?.length ?? 0)));
  return titled.map(row =>
    columns
      .map(({ align }, index) => {
        const cell = row[index] ?? '';
        const width = widths[index] ?? 0;
        return align === 'left' ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd(),
  );
}
