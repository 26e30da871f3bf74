"""Pictures that agents send: opened by what they are, not by what they are called, and written anew.

Writing anew drops everything that is no pixel (EXIF with its place and time, comments, thumbnails). A file that would
unfold to a gigantic picture is refused before it is unfolded.
"""

import warnings
from dataclasses import dataclass
from io import BytesIO
from threading import Semaphore

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from app.connectors.base import Pictures
from app.errors import Invalid
from app.i18n import _

READ = ("JPEG", "PNG", "WEBP", "GIF")
MOST_PIXELS = 50_000_000  # of what is opened at all
QUALITY = 88
SMALLER = 0.8  # of each side, until the channel takes it
_at_once = Semaphore(2)  # an opened picture takes 4 bytes a pixel


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A picture as it will be sent."""

    kind: str
    width: int
    height: int
    content: bytes


def cleaned(content: bytes, rules: Pictures) -> Cleaned:
    """The picture in one of the channel's kinds, within its bounds. Takes a while: call it in a thread.

    Raises:
        Invalid: it is no picture, is damaged, moves, or is larger than we open.
    """
    with _at_once:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound follows, and is lower
                with Image.open(BytesIO(content), formats=READ) as opened:
                    return _fitting(_pixels(opened), rules, lossless=opened.format == "PNG")
        except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
            message = _("This file cannot be read as a picture. Send a JPEG, PNG, WebP or GIF of usual size.")
            raise Invalid(message, "picture") from error


def _pixels(opened: Image.Image) -> Image.Image:
    """What is to be seen, upright, in sRGB."""
    if opened.width * opened.height > MOST_PIXELS:
        raise Invalid(_("This picture is too large. Make it smaller before you attach it."), "picture")
    if getattr(opened, "n_frames", 1) > 1:
        raise Invalid(_("Moving pictures cannot be sent. Attach a still one."), "picture")
    clear = "A" in opened.getbands() or "transparency" in opened.info
    upright = ImageOps.exif_transpose(opened)
    profile = opened.info.get("icc_profile")
    plain = upright.convert("RGBA" if clear else "RGB")
    if not profile or clear or upright.mode != "RGB":
        return plain
    try:
        wide = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(plain, wide, ImageCms.createProfile("sRGB")) or plain
    except ImageCms.PyCMSError:  # a damaged profile: the colours stay as they are
        return plain


def _fitting(picture: Image.Image, rules: Pictures, *, lossless: bool) -> Cleaned:
    """Written in a kind that keeps it well, and made smaller until it fits."""
    most = rules.pixels / (picture.width * picture.height)
    if most < 1:
        picture = _scaled(picture, most**0.5)
    if lossless or picture.mode == "RGBA":
        png = _written(picture, "PNG", optimize=True)
        if len(png) <= rules.bytes:
            return Cleaned("image/png", picture.width, picture.height, png)
    flat = picture
    if picture.mode == "RGBA":
        flat = Image.new("RGB", picture.size, "white")
        flat.paste(picture, mask=picture.getchannel("A"))
    while len(jpeg := _written(flat, "JPEG", quality=QUALITY, progressive=True)) > rules.bytes:
        flat = _scaled(flat, SMALLER)
    return Cleaned("image/jpeg", flat.width, flat.height, jpeg)


def _scaled(picture: Image.Image, by: float) -> Image.Image:
    size = (max(1, int(picture.width * by)), max(1, int(picture.height * by)))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _written(picture: Image.Image, kind: str, **how: object) -> bytes:
    clean = Image.new(picture.mode, picture.size)
    clean.paste(picture)  # pixels alone: what else the file held is not carried over
    out = BytesIO()
    clean.save(out, kind, **how)
    return out.getvalue()
