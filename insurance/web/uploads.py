"""Files from outside: only PDF, JPG and PNG, rebuilt so that nothing but the pages and pixels remains."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, Any

import filetype
import pikepdf
from PIL import Image, ImageOps

from ..core.errors import RuleBroken

MOST_BYTES = 10 * 2**20
MOST_PIXELS = 40_000_000
LONGEST_NAME = 120
TYPES = {
    "pdf": "application/pdf",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
}
_ACTIVE_KEYS = {
    "/OpenAction", "/AA", "/JS", "/JavaScript", "/EmbeddedFiles", "/EF", "/AF", "/XFA", "/Collection", "/Rendition",
    "/RichMediaContent", "/RichMediaSettings",
}  # fmt: skip
_ACTIVE_ACTIONS = {
    "/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/GoToR", "/GoToE", "/Rendition", "/Movie", "/Sound",
    "/RichMediaExecute", "/GoTo3DView",
}  # fmt: skip

# A stream of a few kilobytes can unfold to gigabytes while a document is opened.
pikepdf.settings.set_qpdf_limits(flate_max_memory=2**26, max_stream_filters=3, run_length_max_memory=2**26)


@dataclass(frozen=True)
class CleanFile:
    """A file that is safe to keep and to send; `sha256` is of `data`, not of what was sent."""

    name: str
    content_type: str
    data: bytes = field(repr=False)
    sha256: str


def check_upload(source: IO[bytes] | bytes, filename: str) -> CleanFile:
    """Rebuild a file, or refuse it with RuleBroken that names it."""
    name = clean_name(filename)
    data = source if isinstance(source, bytes) else source.read(MOST_BYTES + 1)
    if not data:
        raise RuleBroken(f"{name} is empty")
    if len(data) > MOST_BYTES:
        raise RuleBroken(f"{name} must be 10 MB or smaller")
    content_type = TYPES.get(name.rpartition(".")[2].lower())
    found = filetype.guess(data)
    if not content_type or not found or found.mime not in TYPES.values():
        raise RuleBroken(f"{name} must be a PDF, JPG or PNG")
    if found.mime != content_type:
        raise RuleBroken(f"{name} is a {found.extension.upper()} by its content. Save it under that ending")
    clean = _clean_pdf(data, name) if content_type == "application/pdf" else _clean_image(data, name)
    return CleanFile(name, content_type, clean, hashlib.sha256(clean).hexdigest())


def clean_name(filename: str) -> str:
    """A file's name without folders or characters that do not print, its ending kept, of at most 120 characters."""
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", filename[-1000:]))[-1]
    name = "".join(character for character in name if character.isprintable()).strip(" .")
    stem, dot, ending = name.rpartition(".")
    ending = ending[:10]
    return (stem[: LONGEST_NAME - 1 - len(ending)].rstrip() + dot + ending) or "file"


def _clean_image(data: bytes, name: str) -> bytes:
    """The pixels alone, turned as the camera was held."""
    try:
        with Image.open(BytesIO(data), formats=["JPEG", "PNG"]) as image:
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            file_format = image.format
            pixels = ImageOps.exif_transpose(image)
            if file_format == "PNG" and pixels.has_transparency_data:
                pixels = pixels.convert("RGBA")
            elif pixels.mode != "L":
                pixels = pixels.convert("RGB")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise RuleBroken(f"{name} must have {MOST_PIXELS // 1_000_000} megapixels or fewer") from error
    except Exception as error:  # decoders raise whatever they like on bad bytes
        raise _unreadable(name) from error
    pixels.info.clear()
    out = BytesIO()
    pixels.save(out, "PNG" if file_format == "PNG" else "JPEG", quality=90)
    return out.getvalue()


def _clean_pdf(data: bytes, name: str) -> bytes:
    """The document written anew, without scripts, actions that leave it, and files inside it."""
    try:
        with pikepdf.open(BytesIO(data)) as document:
            if document.is_encrypted:
                raise RuleBroken(f"{name} must be saved without a password")
            if not len(document.pages):
                raise _unreadable(name)
            for thing in (*document.objects, document.trailer):
                _disarm(thing)
            out = BytesIO()
            document.save(out, deterministic_id=True)
    except RuleBroken:
        raise
    except pikepdf.PasswordError as error:
        raise RuleBroken(f"{name} must be saved without a password") from error
    except Exception as error:  # qpdf raises whatever it likes on bad bytes
        raise _unreadable(name) from error
    return out.getvalue()


def _disarm(thing: Any) -> None:
    """Take out of a PDF object, and of what lies directly in it, all that acts or carries files."""
    if isinstance(thing, pikepdf.Array):
        inside = list(thing)
    elif isinstance(thing, (pikepdf.Dictionary, pikepdf.Stream)):
        acts = isinstance(thing, pikepdf.Dictionary) and str(thing.get("/S", "")) in _ACTIVE_ACTIONS
        for key in list(thing.keys()):
            if acts or key in _ACTIVE_KEYS:
                del thing[key]
        inside = [value for _, value in thing.items()]
    else:
        return
    for value in inside:
        if isinstance(value, pikepdf.Object) and not value.is_indirect:  # the others come by themselves
            _disarm(value)


def _unreadable(name: str) -> RuleBroken:
    return RuleBroken(f"{name} could not be read. Save it again as PDF, JPG or PNG, and add the new file")
