/** The largest image accepted, in pixels: a small file can unpack to any size. */
export const MAX_IMAGE_PIXELS = 120e6;
