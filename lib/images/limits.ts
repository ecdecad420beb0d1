/** The largest accepted image, in pixels. A limit is needed because a small file can unpack to any size. */
export const MAX_IMAGE_PIXELS = 120e6;
