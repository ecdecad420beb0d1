/** The largest accepted image, in pixels. A limit is needed because a small file can unpack to any size. */
export const MAX_IMAGE_PIXELS = 120e6;

/** The longest side accepted, in pixels: that of JPEG. A decoder needs hours for a PNG of one column and the same area. */
export const MAX_IMAGE_SIDE = 65_535;
