#!/usr/bin/env python3
"""Makes tests/image/files: small PNG, JPEG and WebP files of every kind that codec_test reads, each with NAME.raw, the
pixels (3 or 4 bytes each, rows from the top, upright) that Pillow reads from it. Needs Pillow and numpy."""
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

OUT = Path(__file__).resolve().parents[2] / "tests" / "image" / "files"
WIDTH, HEIGHT = 9, 7
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def picture():
    """Smooth enough for lossy formats, different in every corner."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([30 + 24 * x, 230 - 30 * y, 40 + 8 * x + 12 * y], -1).clip(0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, colour, extra=b"", interlaced=False):
    """A PNG of samples [h, w, c] by hand, for what Pillow can't write."""
    height, width = samples.shape[:2]
    rows = b""
    for x0, y0, dx, dy in ADAM7 if interlaced else [(0, 0, 1, 1)]:
        part = samples[y0::dy, x0::dx]
        if part.size:
            for row in part:
                rows += b"\0" + (row.astype(">u2").tobytes() if depth == 16 else row.astype(np.uint8).tobytes())
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def put(name, alpha=False, expected=None):
    if expected is None:
        image = ImageOps.exif_transpose(Image.open(OUT / name))
        expected = np.asarray(image.convert("RGBA" if alpha else "RGB"))
    (OUT / (name + ".raw")).write_bytes(np.ascontiguousarray(expected).tobytes())


def pngs(rgb):
    alpha = np.dstack([rgb, np.linspace(0, 255, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(np.uint8)])
    wide = rgb.astype(np.uint16) * 256 + 77
    Image.fromarray(rgb).save(OUT / "rgb.png")
    Image.fromarray(alpha).save(OUT / "rgba.png")
    Image.fromarray(rgb[..., 0].copy()).save(OUT / "gray.png")
    Image.fromarray(alpha).convert("LA").save(OUT / "gray_alpha.png")
    Image.fromarray(rgb[..., 0].copy()).convert("1").save(OUT / "gray1.png")
    Image.fromarray(rgb).quantize(7).save(OUT / "palette.png", bits=4)
    Image.fromarray(rgb).quantize(7).save(OUT / "palette_clear.png", transparency=3)
    for name in ["rgb.png", "gray.png", "gray1.png", "palette.png"]:
        put(name)
    for name in ["rgba.png", "gray_alpha.png", "palette_clear.png"]:
        put(name, True)
    (OUT / "rgb16.png").write_bytes(png(wide, 16, 2))
    put("rgb16.png", expected=rgb)
    (OUT / "gray16.png").write_bytes(png(wide[..., :1], 16, 0))
    put("gray16.png", expected=np.repeat(rgb[..., :1], 3, -1))
    (OUT / "interlaced.png").write_bytes(png(rgb, 8, 2, interlaced=True))
    put("interlaced.png")
    (OUT / "rgb_clear.png").write_bytes(png(rgb, 8, 2, chunk(b"tRNS", struct.pack(">HHH", *rgb[2, 3]))))
    opaque = np.dstack([rgb, np.full((HEIGHT, WIDTH), 255, np.uint8)])
    opaque[(rgb == rgb[2, 3]).all(-1), 3] = 0
    put("rgb_clear.png", expected=opaque)


def photographs(rgb):
    image = Image.fromarray(rgb)
    for name, options in [("rgb.jpg", {}), ("progressive.jpg", {"progressive": True})]:
        image.save(OUT / name, quality=90, subsampling=0, **options)
        put(name)
    image.convert("L").save(OUT / "gray.jpg", quality=90)
    put("gray.jpg")
    image.convert("CMYK").save(OUT / "cmyk.jpg", quality=60)
    image.save(OUT / "lossy.webp", quality=90)
    put("lossy.webp")
    Image.fromarray(np.dstack([rgb, rgb[..., 0]])).save(OUT / "rgba.webp", lossless=True, exact=True)
    put("rgba.webp", True)
    image.save(OUT / "animated.webp", save_all=True, append_images=[Image.fromarray(rgb[::-1].copy())])


def turned(rgb):
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x10f] = "maker"
        exif[0x112] = orientation
        name = f"turned{orientation}.jpg"
        Image.fromarray(rgb).save(OUT / name, quality=90, subsampling=0, exif=exif)
        put(name)
    for name in ["turned6.png", "turned8.webp"]:
        exif = Image.Exif()
        exif[0x112] = int(name[6])
        Image.fromarray(rgb).save(OUT / name, exif=exif, lossless=True)
        put(name)
    # The orientation as a big-endian TIFF, in a chunk after the pixels.
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, 3, 0, 0)
    data = png(rgb, 8, 2)
    (OUT / "turned3_late.png").write_bytes(data[:-12] + chunk(b"eXIf", tiff) + data[-12:])
    put("turned3_late.png", expected=rgb[::-1, ::-1])


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rgb = picture()
    pngs(rgb)
    photographs(rgb)
    turned(rgb)
    return 0


if __name__ == "__main__":
    sys.exit(main())
