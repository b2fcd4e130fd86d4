"""Uploads: only PDF, JPG and PNG, rebuilt; everything else is refused in words that name the file."""

import zlib
from io import BytesIO

import pikepdf
import pytest
from PIL import Image

from insurance.core.errors import RuleBroken
from insurance.web.uploads import MOST_BYTES, check_upload, clean_name


def _image(file_format, size=(40, 20), mode="RGB", **options):
    out = BytesIO()
    Image.new(mode, size, 200 if mode in ("L", "1", "I;16", "P") else None).save(out, file_format, **options)
    return out.getvalue()


def _pdf(change=lambda document: None, **options):
    document = pikepdf.new()
    document.add_blank_page()
    change(document)
    out = BytesIO()
    document.save(out, **options)
    return out.getvalue()


def _exif(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "Secret Camera"
    exif.get_ifd(0x8825)[1] = "N"
    return exif


@pytest.mark.parametrize(
    ("name", "data", "content_type"),
    [
        ("roof.jpg", _image("JPEG"), "image/jpeg"),
        ("roof.JPEG", _image("JPEG", mode="L"), "image/jpeg"),
        ("roof.jpeg", _image("JPEG", mode="CMYK"), "image/jpeg"),
        ("plan.png", _image("PNG", mode="RGBA"), "image/png"),
        ("plan.png", _image("PNG", mode="P"), "image/png"),
        ("plan.png", _image("PNG", mode="1"), "image/png"),
        ("plan.png", _image("PNG", mode="I;16"), "image/png"),
        ("bill.pdf", _pdf(), "application/pdf"),
    ],
)
def test_pdf_jpg_and_png_are_kept(name, data, content_type):
    file = check_upload(BytesIO(data), name)
    assert (file.name, file.content_type, len(file.sha256)) == (name, content_type, 64)
    assert check_upload(data, name) == file


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("garden-video.mov", b"\0\0\0\x14ftypqt  " + b"\0" * 300, "garden-video.mov must be a PDF, JPG or PNG"),
        ("page.html", b"<script>alert(1)</script>", "page.html must be a PDF, JPG or PNG"),
        ("page.pdf", b"<script>alert(1)</script>", "page.pdf must be a PDF, JPG or PNG"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "drawing.svg must be a PDF, JPG or PNG"),
        ("roof.gif", _image("GIF"), "roof.gif must be a PDF, JPG or PNG"),
        ("roof.jpg", _image("GIF"), "roof.jpg must be a PDF, JPG or PNG"),
        ("roof", _image("JPEG"), "roof must be a PDF, JPG or PNG"),
        ("roof.jpg.exe", _image("JPEG"), "roof.jpg.exe must be a PDF, JPG or PNG"),
        ("roof.png", _image("JPEG"), "roof.png is a JPG by its content. Save it under that ending"),
        ("roof.pdf", _image("PNG"), "roof.pdf is a PNG by its content. Save it under that ending"),
        ("roof.jpg", b"", "roof.jpg is empty"),
        ("roof.jpg", b"\xff\xd8\xff" + b"\0" * MOST_BYTES, "roof.jpg must be 10 MB or smaller"),
        ("roof.jpg", _image("JPEG")[:300], "roof.jpg could not be read"),
        ("roof.jpg", b"\xff\xd8\xff\xe0 no picture", "roof.jpg could not be read"),
        ("bill.pdf", b"%PDF-1.7 no document", "bill.pdf could not be read"),
        ("bill.pdf", b"%PDF-1.7\n1 0 obj\n" + b"[" * 100_000, "bill.pdf could not be read"),
        ("bill.pdf", b"PK\x03\x04%PDF-1.7" + _pdf(), "bill.pdf must be a PDF, JPG or PNG"),
        (
            "bill.pdf",
            _pdf(encryption=pikepdf.Encryption(owner="o", user="u")),
            "bill.pdf must be saved without a password",
        ),
        (
            "bill.pdf",
            _pdf(encryption=pikepdf.Encryption(owner="o", user="")),
            "bill.pdf must be saved without a password",
        ),
        ("../../etc/passwd\0.jpg", b"x", "passwd.jpg must be a PDF, JPG or PNG"),
    ],
)
def test_what_is_not_a_whole_document_or_picture_is_refused_by_name(name, data, words):
    with pytest.raises(RuleBroken) as refusal:
        check_upload(data, name)
    assert refusal.value.message.startswith(words)


def test_a_picture_loses_what_the_camera_wrote_and_stands_as_it_was_held():
    data = _image("JPEG", exif=_exif(6), comment=b"secret comment", icc_profile=b"secret profile")
    assert b"Secret Camera" in data
    clean = check_upload(data, "roof.jpg").data
    with Image.open(BytesIO(clean)) as image:
        assert image.size == (20, 40)
        assert not image.getexif()
    assert b"ecret" not in clean


def test_a_png_loses_its_texts():
    from PIL.PngImagePlugin import PngInfo

    texts = PngInfo()
    texts.add_text("Author", "secret")
    clean = check_upload(_image("PNG", pnginfo=texts, exif=_exif(1)), "plan.png").data
    assert b"secret" not in clean
    assert b"ecret Camera" not in clean


def test_what_hangs_behind_a_picture_is_gone():
    clean = check_upload(_image("JPEG") + b"PK\x03\x04<?php system($_GET[0]); ?>", "roof.jpg").data
    assert b"php" not in clean
    assert b"PK\x03\x04" not in clean


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked():
    def chunk(kind, body):
        return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)

    for side in (6_400, 12_000, 50_000):
        header = side.to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0])
        flood = (
            b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", header)
            + chunk(b"IDAT", zlib.compress(b"\0" * 999))
            + chunk(b"IEND", b"")
        )
        with pytest.raises(RuleBroken, match=r"flood\.png must have 40 megapixels or fewer"):
            check_upload(flood, "flood.png")


def _arm(document):
    script = pikepdf.Dictionary(S=pikepdf.Name.JavaScript, JS="app.alert('secret')")
    launch = document.make_indirect(pikepdf.Dictionary(S=pikepdf.Name.Launch, F="secret.exe", Next=script))
    page = document.pages[0].obj
    document.Root.OpenAction = launch
    document.Root.AA = pikepdf.Dictionary(WC=script)
    document.Root.Names = pikepdf.Dictionary(JavaScript=pikepdf.Dictionary(Names=["secret", script]))
    document.Root.AcroForm = pikepdf.Dictionary(Fields=[], XFA=document.make_stream(b"secret xfa"))
    page.AA = pikepdf.Dictionary(O=script)
    page.Annots = pikepdf.Array(
        [
            pikepdf.Dictionary(Subtype=pikepdf.Name.Link, Rect=[0, 0, 9, 9], A=launch),
            pikepdf.Dictionary(Subtype=pikepdf.Name.Link, Rect=[0, 0, 9, 9], A=script),
            pikepdf.Dictionary(
                Subtype=pikepdf.Name.Link,
                Rect=[0, 0, 9, 9],
                A=pikepdf.Dictionary(S=pikepdf.Name.URI, URI="https://example.com/kept"),
            ),
        ]
    )
    document.attachments["secret.exe"] = b"secret program"


def test_a_pdf_keeps_its_pages_and_links_but_no_scripts_actions_or_files():
    armed = _pdf(_arm, compress_streams=False)
    assert armed.count(b"secret") > 5
    clean = check_upload(armed, "bill.pdf").data
    with pikepdf.open(BytesIO(clean)) as document:
        assert len(document.pages) == 1
        assert not document.attachments
        out = BytesIO()
        document.save(out, qdf=True, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    for word in (b"secret", b"JavaScript", b"/Launch", b"/OpenAction", b"/AA", b"EmbeddedFile", b"/XFA"):
        assert word not in out.getvalue()
    assert b"https://example.com/kept" in out.getvalue()


def test_a_pdf_that_unfolds_to_gigabytes_while_it_is_opened_is_refused():
    squeezed = zlib.compress(zlib.compress(b" " * 2**28, 9), 9)
    body = (
        b"%PDF-1.5\n1 0 obj\n<</Type /XRef /Size 9 /W [1 2 1] /Root 2 0 R /Filter [/FlateDecode /FlateDecode] /Length "
        + str(len(squeezed)).encode()
        + b">>\nstream\n"
    )
    bomb = body + squeezed + b"\nendstream\nendobj\nstartxref\n9\n%%EOF\n"
    assert len(bomb) < 20_000
    with pytest.raises(RuleBroken, match=r"bomb\.pdf could not be read"):
        check_upload(bomb, "bomb.pdf")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("roof.jpg", "roof.jpg"),
        ("C:\\fakepath\\roof.jpg", "roof.jpg"),
        ("../../etc/cron.d/roof.jpg", "roof.jpg"),
        ("roof\r\nSet-Cookie: a.jpg", "roofSet-Cookie: a.jpg"),
        ("invoice\u202egpj.exe", "invoicegpj.exe"),
        ("\ud800roof.jpg", "roof.jpg"),
        ("Dach \U0001f3e0 سقف.jpg", "Dach \U0001f3e0 سقف.jpg"),
        ("...hidden.jpg", "hidden.jpg"),
        ("a" * 300 + ".jpg", "a" * 116 + ".jpg"),
        ("a." + "b" * 300, "a." + "b" * 10),
        ("\0\0", "file"),
        ("", "file"),
    ],
)
def test_a_file_name_keeps_only_what_can_be_shown(given, kept):
    assert clean_name(given) == kept
