/** An `<object>` as VOC writes it. */
export function vocObject(name: string, xmin: unknown, ymin: unknown, xmax: unknown, ymax: unknown, more = ''): string {
  const box = `<xmin>${xmin}</xmin><ymin>${ymin}</ymin><xmax>${xmax}</xmax><ymax>${ymax}</ymax>`;
  return `<object>\n\t<name>${name}</name>\n\t<pose>Unspecified</pose>${more}\n\t<bndbox>${box}</bndbox>\n</object>\n`;
}

/** An annotation as VOC writes it. */
export function vocXml(
  objects: string,
  size = '<size><width>64</width><height>48</height><depth>3</depth></size>',
): string {
  return `<annotation>\n<folder>VOC2012</folder>\n<filename>a.jpg</filename>\n${size}\n<segmented>0</segmented>\n${objects}</annotation>\n`;
}
