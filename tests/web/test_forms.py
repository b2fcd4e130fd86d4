"""Forms: what a column could not hold is refused in words at its field; what was typed is kept."""

from datetime import date
from enum import StrEnum
from io import BytesIO
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from jinja2 import DictLoader, StrictUndefined
from PIL import Image
from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import BadRequest

from insurance.core import clock
from insurance.core.errors import Conflict, NotAllowed, NotFound, RuleBroken, Stale
from insurance.core.money import Money
from insurance.web.forms import (
    CheckField,
    ChoiceField,
    DateField,
    EmailField,
    FilesField,
    Form,
    KeyField,
    MoneyField,
    PasswordField,
    TelField,
    TextAreaField,
    TextField,
    VersionField,
    WholeNumberField,
    clean_text,
)

TODAY = date(2026, 11, 24)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class ClaimForm(Form):
    name = TextField("Full name", hint="As on your passport", autocomplete="name", missing="Enter your full name")
    email = EmailField(optional=True)
    phone = TelField(optional=True)
    story = TextAreaField("What happened?", optional=True, max=400)
    password = PasswordField(optional=True)
    people = WholeNumberField("People", min=1, max=9, optional=True)
    mileage = WholeNumberField("Mileage", optional=True)
    amount = MoneyField("Amount", optional=True)
    happened_on = DateField("The date it happened", past=True, optional=True)
    starts_on = DateField("First day", future=True, not_after=date(2027, 12, 31), optional=True)
    ends_on = DateField("Last day", not_before="starts_on", optional=True)
    colour = ChoiceField("Colour", choices=[(Colour.RED, "Red"), (Colour.BLUE, "Blue")], optional=True)
    agent = ChoiceField("Agent", choices=[(1, "Ann", "in Boston"), (2, "Bob")], as_radio=True, optional=True)
    agreed = CheckField("I agree")
    photos = FilesField("Photos", optional=True, most=2)
    key = KeyField()
    version = VersionField(optional=True)


@pytest.fixture
def app():
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="test",
        CURRENCY="USD",
        WTF_CSRF_ENABLED=False,
        BUSINESS_TIMEZONE=ZoneInfo("UTC"),
        BUSINESS_DATE=TODAY,
        CLAMD_URL="",
    )
    app.jinja_env.undefined = StrictUndefined
    app.jinja_loader = DictLoader({"form.html": "{{ form.name._value() }} {{ extra }}"})
    with app.app_context():
        yield app


def _send(app, form_class=ClaimForm, **data):
    """The form as it is after it was sent with these values beside the ones that it needs."""
    data = {"name": "Ann", "key": "k"} | data
    with app.test_request_context(method="POST", data=data):
        form = form_class()
        form.validate()
        return form


def _errors(app, **data):
    return _send(app, **data).errors_in_order


# Texts


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ann Lee \n", "Ann Lee"),
        ("Rene\u0301", "René"),
        ("Zoë \U0001f469\u200d\U0001f680", "Zoë \U0001f469\u200d\U0001f680"),
        ("محمد بن علي", "محمد بن علي"),
        ("\u200fשלום", "\u200fשלום"),
        ("<b>O'Neil</b> & {{ 7*7 }}", "<b>O'Neil</b> & {{ 7*7 }}"),
        ("x" * 200, "x" * 200),
        ("e\u0301" * 200, "é" * 200),
        ("None", "None"),
    ],
)
def test_a_text_in_any_script_is_kept_stripped_and_composed(app, typed, kept):
    form = _send(app, name=typed)
    assert (form.name.data, form.errors) == (kept, {})


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("", "Enter your full name"),
        (" \t\r\n\u00a0\u3000 ", "Enter your full name"),
        ("\u200b\u200d", "Enter your full name"),
        ("x" * 201, "Full name must be 200 characters or fewer"),
        ("a" + "\u0316\u0301" * 100_000, "Full name must be 200 characters or fewer"),
        ("A\0nn", "Full name must not contain control characters"),
        ("A\x1b[31mnn", "Full name must not contain control characters"),
        ("A\x7fnn", "Full name must not contain control characters"),
        ("A\x85nn", "Full name must not contain control characters"),
        ("Ann\nBcc: x@example.com", "Full name must not contain control characters"),
        ("Ann\u2028Lee", "Full name must not contain control characters"),
    ],
)
def test_a_text_that_could_not_be_kept_or_read_is_refused_at_its_field(app, typed, message):
    [(place, said)] = _errors(app, name=typed)
    assert place == "name"
    assert said.startswith(message)


@pytest.mark.parametrize("lines", [True, False])
def test_half_a_character_is_refused_and_never_shown_again(app, lines):
    with pytest.raises(ValueError, match="control characters"):
        clean_text("A\ud800nn", lines=lines)
    with app.test_request_context():
        form = ClaimForm(formdata=MultiDict({"name": "A\ud800\0nn", "key": "k", "password": "\udfff"}))
        assert not form.validate()
        assert form.name._value() == "Ann"
        assert list(form.errors) == ["name", "password"]


def test_only_a_text_area_keeps_line_breaks_and_tabs(app):
    form = _send(app, story=" One\r\ntwo\rthree\t3\n")
    assert form.story.data == "One\ntwo\nthree\t3"
    [(place, _)] = _errors(app, story="One\0two")
    assert place == "story"
    assert _errors(app, story="x" * 401) == [
        ("story", "The answer to “What happened?” must be 400 characters or fewer")
    ]


def test_a_file_sent_in_place_of_a_text_counts_as_nothing(app):
    assert _errors(app, name=(BytesIO(b"x"), "x.txt")) == [("name", "Enter your full name")]


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Ann@Example.COM ", "ann@example.com"),
        ("a+b@example.com", "a+b@example.com"),
        ("a@bücher.de", "a@xn--bcher-kva.de"),
    ],
)
def test_an_email_address_is_kept_in_lower_case_and_ascii(app, typed, kept):
    assert _send(app, email=typed).email.data == kept


@pytest.mark.parametrize(
    "typed",
    [
        "ann",
        "ann@",
        "@example.com",
        "a@example.com,b@example.com",
        "a@example.com b@example.com",
        "Ann <ann@example.com>",
        "a@example.com\nBcc: b@example.com",
        "a@exam\0ple.com",
        "ä@example.com",
        "a@[127.0.0.1]",
        "x" * 250 + "@example.com",
    ],
)
def test_anything_but_one_email_address_is_refused(app, typed):
    [(place, message)] = _errors(app, email=typed)
    assert place == "email"
    assert message.startswith("Email address must")


@pytest.mark.parametrize(
    "typed", ["+1 800 555 0142", "(020) 7946-0958", "555.0142", "+49 30/1234567 ext. 12", "5550142x9"]
)
def test_a_phone_number_is_kept_as_people_write_it(app, typed):
    assert _send(app, phone=typed).phone.data == typed


@pytest.mark.parametrize(
    "typed", ["12345", "call me", "١٢٣٤٥٦٧", "1" * 16, "+1 800 555 0142; rm", "x12", "++1234567", "--------"]
)
def test_what_nobody_could_dial_is_refused(app, typed):
    [(_, message)] = _errors(app, phone=typed)
    assert message == "Phone number must be a phone number like +1 800 555 0142"


def test_a_password_is_kept_as_typed_and_never_shown_again(app):
    form = _send(app, password=" pass\0wörd \U0001f511 ")
    assert (form.password.data, form.password._value()) == (" pass\0wörd \U0001f511 ", "")
    assert _errors(app, password="x" * 1025) == [("password", "Password must be 1024 characters or fewer")]


# Numbers and money


@pytest.mark.parametrize(("typed", "number"), [("1", 1), (" 9 ", 9), ("007", 7)])
def test_a_whole_number_is_read_from_ascii_digits(app, typed, number):
    assert _send(app, people=typed).people.data == number


@pytest.mark.parametrize(
    "typed", ["x", "1.5", "1e3", "1e30", "NaN", "inf", "1_0", "٣", "３", "²", "0x1", "+1", "1 0", "--1", "½"]
)
def test_anything_but_ascii_digits_is_no_whole_number(app, typed):
    assert _errors(app, people=typed) == [("people", "People must be a whole number in figures, such as 12")]
    assert _send(app, people=typed).people._value() == typed


@pytest.mark.parametrize("typed", ["0", "-1", "10", "9" * 30])
def test_a_whole_number_keeps_to_its_bounds(app, typed):
    assert _errors(app, people=typed) == [("people", "People must be between 1 and 9")]


def test_a_whole_number_fits_64_bits(app):
    assert _errors(app, mileage="-1") == [("mileage", "Mileage must be 0 or more")]
    assert _send(app, mileage=str(2**63)).mileage.errors
    assert _errors(app, mileage="9" * 199)
    with app.test_request_context(), pytest.raises(ValueError, match="64 bits"):
        WholeNumberField("Too wide", max=2**63).bind(form=ClaimForm(), name="wide")


@pytest.mark.parametrize(
    ("typed", "minor"),
    [("1204", 120400), ("1,204.00", 120400), (" $1,204.5 ", 120450), ("0.01", 1), ("1,000,000", 10**8), ("007", 700)],
)
def test_an_amount_is_read_as_people_write_it(app, typed, minor):
    assert _send(app, amount=typed).amount.data == Money(minor, "USD")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("0", "Amount must be $0.01 or more"),
        ("0.00", "Amount must be $0.01 or more"),
        ("-1", "Amount must be $0.01 or more"),
        ("1.005", "Amount must have at most 2 decimals"),
        ("10000000000000.01", "Amount must be $10,000,000,000,000.00 or less"),
        ("9" * 100, "Amount must be $10,000,000,000,000.00 or less"),
        *[
            (text, "Amount must be an amount in figures, such as 1200.00")
            for text in [
                "1e30",
                "NaN",
                "inf",
                "-inf",
                "1_000",
                "١٢٠٤",
                "１２",
                "1,20",
                "1,2040",
                ",100",
                "1,,000",
                "1.",
                ".5",
                "1.2.3",
                "1 204",
                "€5",
                "5$",
                "$",
                "abc",
                "0x10",
                "+5",
                "--5",
                "1204,00",
                "1/2",
                "½",
                "\U0001f4b0",
            ]
        ],
    ],
)
def test_anything_else_is_refused_as_an_amount_and_kept_in_its_box(app, typed, message):
    form = _send(app, amount=typed)
    assert form.errors_in_order == [("amount", message)]
    assert (form.amount.data, form.amount._value()) == (None, typed)


def test_an_amount_has_the_decimals_of_its_currency(app):
    class Amounts(Form):
        yen = MoneyField("Yen", currency="JPY")
        dinar = MoneyField("Dinar", currency="KWD", min_minor=0)

    form = _send(app, Amounts, yen="1.5", dinar="0.005")
    assert form.errors_in_order == [("yen", "Yen must have no decimals")]
    assert (form.dinar.data, form.yen.symbol) == (Money(5, "KWD"), "¥")
    with app.test_request_context():
        assert Amounts(dinar=Money(1204500, "KWD")).dinar._value() == "1,204.500"


# Dates


def _boxes(name, day, month, year):
    return {f"{name}-day": day, f"{name}-month": month, f"{name}-year": year}


def test_a_date_comes_from_three_boxes_or_whole_in_iso_form(app):
    assert _send(app, **_boxes("happened_on", " 4", "02", "2026")).happened_on.data == date(2026, 2, 4)
    form = _send(app, happened_on="2026-02-04")
    field = form.happened_on
    assert (field.data, field.day_value, field.month_value, field.year_value) == (date(2026, 2, 4), "04", "02", "2026")
    with app.test_request_context():
        field = ClaimForm(happened_on=date(2026, 2, 4)).happened_on
        assert (field.day_value, field.month_value, field.year_value, field._value()) == (
            "4",
            "2",
            "2026",
            "2026-02-04",
        )
        assert ClaimForm().happened_on.day_value == ""


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        (("30", "2", "2026"), "must be a real date"),
        (("29", "2", "2025"), "must be a real date"),
        (("0", "1", "2026"), "must be a real date"),
        (("-1", "1", "2026"), "must be a real date"),
        (("x", "1", "2026"), "must be a real date"),
        (("٣", "1", "2026"), "must be a real date"),
        (("1", "1", "1e30"), "must be a real date"),
        (("1", "1", "99999"), "must be a real date"),
        (("1", "1", "0000"), "must be a real date"),
        (("1", "NaN", "2026"), "must be a real date"),
        (("1\0", "1", "\u202e2026"), "must be a real date"),
        (("1", "1", ""), "must have a year"),
        (("", " ", "2026"), "must have a day and a month"),
        (("1", "1", "26"), "must have a year between 1900 and 2200"),
        (("1", "1", "2201"), "must have a year between 1900 and 2200"),
        (("25", "11", "2026"), "must be today or in the past"),
    ],
)
def test_a_day_that_is_none_is_refused_at_the_first_box_and_kept(app, boxes, message):
    form = _send(app, **_boxes("happened_on", *boxes))
    assert form.errors_in_order == [("happened_on-day", f"The date it happened {message}")]
    assert form.happened_on.month_value == boxes[1]


@pytest.mark.parametrize("typed", ["2026-02-30", "24.11.2026", "2026-1", "tomorrow", "2026-11-24T00:00", "20261124"])
def test_a_whole_date_in_another_form_is_refused(app, typed):
    [(place, message)] = _errors(app, happened_on=typed)
    assert place == "happened_on-day"
    assert message.startswith("The date it happened must")


def test_a_date_keeps_to_its_bounds_which_are_allowed_themselves(app):
    assert _errors(app, happened_on="2026-11-24", starts_on="2026-11-24", ends_on="2026-11-24") == []
    assert _errors(app, starts_on="2026-11-23") == [("starts_on-day", "First day must be today or in the future")]
    assert _errors(app, starts_on="2028-01-01") == [("starts_on-day", "First day must be 31 Dec 2027 or earlier")]
    with clock.at(date(2027, 1, 1)):
        assert _errors(app, happened_on="2027-01-01") == []


def test_an_end_before_its_start_is_refused(app):
    assert _errors(app, starts_on="2026-12-02", ends_on="2026-12-01") == [
        ("ends_on-day", "Last day must be the same as the first day or later")
    ]
    assert _errors(app, ends_on="2026-12-01") == []


def test_a_date_that_is_needed_is_asked_for(app):
    class Needed(Form):
        born_on = DateField("Date of birth", not_before=lambda: date(1920, 1, 1))

    assert _send(app, Needed).errors_in_order == [("born_on-day", "Enter the date of birth")]
    assert _send(app, Needed, born_on="1919-12-31").errors_in_order == [
        ("born_on-day", "Date of birth must be 1 Jan 1920 or later")
    ]


# Choices, ticks, files


def test_a_choice_gives_the_value_that_was_offered(app):
    form = _send(app, colour="blue", agent="2")
    assert form.colour.data is Colour.BLUE
    assert form.agent.data == 2


@pytest.mark.parametrize("typed", ["green", "Colour.RED", "0", "None", "\U0001f534"])
def test_what_was_not_offered_is_refused(app, typed):
    assert _errors(app, colour=typed, agent=typed) == [
        ("colour", "Colour must be one of those listed"),
        ("agent", "Agent must be one of those listed"),
    ]


def test_a_select_can_say_that_nothing_is_chosen(app):
    class Choices(Form):
        needed = ChoiceField("Cover", choices=[("a", "A")])
        set = ChoiceField("Cover", choices=[("a", "A")], default="a")
        radio = ChoiceField("Cover", choices=[("a", "A")], as_radio=True)

    with app.test_request_context():
        form = Choices()
        assert form.needed.choices == [("", "Choose one"), ("a", "A")]
        assert form.set.choices == form.radio.choices == [("a", "A")]
        assert ClaimForm(colour=Colour.RED).colour.choices[0] == ("", "Not chosen")
    assert _send(app, Choices).errors_in_order[0] == ("needed", "Choose the cover")


def test_a_view_may_set_the_choices_after_the_form_is_made(app):
    with app.test_request_context(method="POST", data={"name": "Ann", "key": "k", "agent": "7"}):
        form = ClaimForm()
        form.agent.choices = [(7, "Eve")]
        assert form.validate()
        assert form.agent.data == 7


def test_a_box_is_ticked_or_not(app):
    class Terms(Form):
        terms = CheckField("I have read the terms", must_tick=True)

    assert _send(app).agreed.data is False
    assert _send(app, agreed="y").agreed.data is True
    assert _send(app, Terms).errors_in_order == [("terms", "Tick “I have read the terms” to go on")]
    assert _send(app, Terms, terms="y").errors_in_order == []


def _photo():
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    return BytesIO(out.getvalue())


def test_files_are_checked_and_each_that_is_refused_is_named(app):
    form = _send(app, photos=[(_photo(), "roof.jpg")])
    assert [file.name for file in form.photos.data] == ["roof.jpg"]
    assert _errors(app, photos=[(_photo(), "roof.jpg"), (BytesIO(b"x"), "garden-video.mov")]) == [
        ("photos", "garden-video.mov must be a PDF, JPG or PNG")
    ]
    assert _errors(app, photos=[(_photo(), "roof.jpg")] * 3) == [("photos", "Photos must be 2 files or fewer")]


def test_without_files_the_list_is_empty_or_they_are_asked_for(app):
    class Photos(Form):
        photos = FilesField("Photos")

    assert _send(app).photos.data == []
    assert _send(app, photos=(BytesIO(b""), "")).photos.data == []
    assert _send(app, photos="not a file").photos.data == []
    assert _send(app, Photos).errors_in_order == [("photos", "Add the photos")]


# What travels unseen


def test_the_key_is_new_with_each_form_and_kept_while_it_is_sent_again(app):
    with app.test_request_context():
        first, second = ClaimForm().key, ClaimForm().key
        assert first.data != second.data
        assert first._value() == first.data
    form = _send(app, name="", key=first.data)
    assert form.key._value() == first.data


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 65, "\0", "schlüssel", "a\n"])
def test_a_key_that_no_form_of_ours_made_is_refused_above_the_form(app, key):
    [(place, message)] = _errors(app, key=key)
    assert place == "main"
    assert message.startswith("This page was open too long")


@pytest.mark.parametrize("version", ["-1", "x", "1e3", "٣", "9" * 10])
def test_a_version_is_a_whole_number(app, version):
    assert _send(app, version="3").version.data == 3
    assert [place for place, _ in _errors(app, version=version)] == ["main"]


def test_what_the_form_does_not_know_is_ignored(app):
    form = _send(app, status="approved", role="admin", id="1")
    assert not form.errors
    assert not {"status", "role", "id"} & set(form.data)


def test_an_empty_body_and_json_are_forms_that_were_sent_empty(app):
    for sent in ({"data": {}}, {"json": {"name": "Ann", "key": "k"}}):
        with app.test_request_context(method="POST", **sent):
            form = ClaimForm(name="From the record")
            assert not form.validate_on_submit()
            assert form.name.errors == ["Enter your full name"]


def test_a_form_without_its_token_is_refused_whole_before_its_files_are_opened(app):
    app.config["WTF_CSRF_ENABLED"] = True
    with app.test_request_context(method="POST", data={"name": "", "photos": (BytesIO(b"x"), "x.mov")}):
        form = ClaimForm()
        with pytest.raises(BadRequest, match="This page was open too long"):
            form.validate_on_submit()
        assert not form.photos.errors


# Refusals and pages


def test_messages_stand_in_the_order_of_the_form_and_those_about_the_whole_form_last(app):
    form = _send(app, name="", amount="x", happened_on="x", key="")
    form.refuse(RuleBroken("The policy has ended."))
    assert [place for place, _ in form.errors_in_order] == ["name", "amount", "happened_on-day", "main", "main"]


def test_what_a_service_refuses_stands_at_its_field_or_above_the_form(app):
    form = _send(app)
    with form.refusals():
        raise RuleBroken("More than is owed.", field="amount")
    with form.refusals():
        raise RuleBroken("The policy has ended.", field="no_field_of_this_form")
    assert form.errors_in_order == [("amount", "More than is owed."), ("main", "The policy has ended.")]


def test_what_is_not_there_and_bugs_pass_through(app):
    form = _send(app)
    for error in (NotFound("We cannot find that."), ZeroDivisionError()):
        with pytest.raises(type(error)), form.refusals():
            raise error


def test_a_page_answers_with_the_status_of_what_was_refused(app):
    for error in (NotAllowed("Above your limit."), Conflict("It is paid."), RuleBroken("Too much.")):
        with app.test_request_context(method="POST", data={"name": "Ann", "key": "k"}):
            form = ClaimForm()
            with form.refusals():
                raise error
            assert form.page("form.html", extra=1) == ("Ann 1", error.status)


def test_who_comes_second_sees_both_values_and_can_send_again(app):
    sent = {"name": "Ann", "amount": "5", "colour": "red", "agreed": "y", "key": "k", "version": "1"}
    with app.test_request_context(method="POST", data=sent):
        form = ClaimForm(
            name="Anne", amount=Money(700, "USD"), starts_on=date(2027, 1, 2), colour="blue", agreed=True, version=2
        )
        assert form.validate_on_submit()
        with form.refusals():
            raise Stale("Somebody else changed it.")
        assert form.page("form.html", extra=1) == ("Ann 1", 409)
    assert {field.short_name: field.now for field in form.shown_fields if field.now} == {
        "name": "Anne",
        "amount": "$7.00",
        "starts_on": "2 Jan 2027",
        "colour": "Blue",
    }
    assert (form.version._value(), form.version.data) == ("2", 2)


def test_a_page_with_a_refused_form_is_422(app):
    with app.test_request_context():
        assert ClaimForm(name="Ann").page("form.html", extra=1) == ("Ann 1", 200)
    with app.test_request_context(method="POST", data={"name": " Ann ", "key": "k", "people": "x"}):
        form = ClaimForm()
        form.validate()
        assert form.page("form.html", extra=1) == (" Ann  1", 422)


def test_every_field_offers_the_templates_all_that_they_read(app):
    offered = ["hint", "optional", "kind", "width", "autocomplete", "inputmode", "maxlength", "rows", "errors"]
    with app.test_request_context():
        form = ClaimForm()
    assert all(hasattr(field, name) for field in form for name in offered)
    assert all(isinstance(field._value(), str) for field in form)
    assert {field.kind for field in form} == {
        "text", "email", "password", "tel", "number", "money", "date", "textarea", "select", "radio", "checkbox",
        "files", "hidden",
    }  # fmt: skip
    assert [field.short_name for field in form if field not in form.shown_fields] == ["key", "version"]
