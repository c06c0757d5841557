"""The HL7 v2 conformance statement: what each listener takes, what it answers, and what is sent out, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gateway.assembly.conformance import hl7_messages, hl7_sent
from gateway.assembly.readers import source_of
from gateway.assembly.shares import of_address
from gateway.config.hl7 import Listener
from gateway.config.tree import Config
from gateway.journey.order_intake.acknowledgement import MOST_PROBLEMS
from gateway.journey.order_intake.codes import CONDITIONS, acknowledgement_code
from gateway.journey.order_intake.sources import SERVED, SenderRule
from gateway.mapping import Mappings
from gateway.operations.conformance.sections import Statement, StatementSection, StatementTable
from gateway.wire.charsets import TABLE_0211
from gateway.wire.hl7.acknowledgement import CODES
from gateway.wire.hl7.mllp import COMMIT, CR, END, NEGATIVE_COMMIT, START
from gateway.wire.tls import PROFILE


def statement(config: Config, mappings: Mappings) -> Statement:
    """The statement of a gateway with this configuration."""
    return Statement(
        (
            StatementSection("1", "HL7 v2 conformance statement", _INTRODUCTION.format(site=config.site.name)),
            *_listeners(config),
            *hl7_messages.sections(mappings),
            StatementSection("1.4", "Acknowledgements", _ACKNOWLEDGEMENTS, (_codes(), _errors())),
            StatementSection("1.5", "Transport", _mllp_text(), ()),
            StatementSection("1.6", "Character sets", _CHARACTER_SETS, (_character_sets(),)),
            *hl7_sent.sections(config, mappings),
        )
    )


# Listeners


def _listeners(config: Config) -> Iterator[StatementSection]:
    columns = (
        "Listener", "Address", "TLS", "Client certificate", "Addresses", "Connections", "of one address",
        "MLLP release", "Longest message", "Idle", "One message", "Database away", "Stations of steps without one",
    )  # fmt: skip
    rows = [_listener(one) for one in config.hl7.listeners]
    yield StatementSection("1.1", "Listeners", _LISTENERS, (StatementTable("Listeners", columns, rows),))
    for number, one in enumerate(config.hl7.listeners, 1):
        tables = (_senders(config, one), _types(config, one))
        yield StatementSection(f"1.1.{number}", f"Listener {one.name}", "", tables)


def _listener(one: Listener) -> tuple[str, ...]:
    return (
        one.name, f"{one.host}:{one.port}", PROFILE if one.tls else "none",
        ", ".join(one.allowed_certificates) or (_ANY if one.tls and one.tls.client_ca else "none asked for"),
        ", ".join(one.allowed_addresses) or "any", str(one.max_connections),
        str(of_address(one.max_connections, one.max_connections_per_address)), str(one.mllp_release),
        f"{one.max_message_bytes} bytes", f"{one.idle_seconds:g} s", f"{one.message_seconds:g} s",
        "AR 207" if one.on_failure == "answer" else "closed without an answer",
        ", ".join(one.station_aes) or "offered to every station",
    )  # fmt: skip


_ANY: Final = "any of `client_ca`"


def _senders(config: Config, listener: Listener) -> StatementTable:
    columns = (
        "MSH-3", "MSH-4", "Without MSH-18", "Always read in", "Bytes that the set lacks", "Other message types",
        "Acknowledgement", "MSH-11 T, D", "Without modality", "Structure check",
    )  # fmt: skip
    rows = [_sender(one) for one in source_of(config, listener).senders]
    return StatementTable("Senders, the first that fits; any other is refused (AR 103)", columns, rows)


def _sender(one: SenderRule) -> tuple[str, ...]:
    check = (
        one.conformance if one.conformance == "off" else f"{one.conformance}, by {one.conformance_version or 'MSH-12'}"
    )
    return (
        one.application or "any", one.facility or "any", one.charset or "UTF-8, then Windows-1252",
        one.override_charset or "as MSH-18 states", "AE 102" if one.undecodable == "reject" else "read as U+FFFD",
        "AR 200 or 201" if one.unserved == "reject" else "kept, AA", f"{one.acknowledge} mode",
        "kept, AA" if one.training == "keep" else "applied",
        "AE" if one.settings.without_modality == "reject" else "kept, AA", check,
    )  # fmt: skip


def _types(config: Config, listener: Listener) -> StatementTable:
    """Each served type that any sender of the listener may send, with what it does."""
    senders = source_of(config, listener).senders
    rows = [
        (f"{kind}^{trigger}", hl7_messages.effect_of(kind, trigger),
         ", ".join(_named(one) for one in senders if _takes(one, kind, trigger)))
        for kind, trigger in sorted(SERVED)
        if any(_takes(one, kind, trigger) for one in senders)
    ]  # fmt: skip
    return StatementTable("Message types", ("MSH-9", "What it does", "Senders"), rows)


def _named(sender: SenderRule) -> str:
    """MSH-3 and MSH-4."""
    return f"{sender.application or 'any'}/{sender.facility or 'any'}"


def _takes(sender: SenderRule, kind: str, trigger: str) -> bool:
    return (kind, trigger) in sender.message_types or (kind, "") in sender.message_types


# Acknowledgements


def _codes() -> StatementTable:
    rows = [
        (kind.__name__, acknowledgement_code(kind("")), str(condition), CODES[condition], _WORDS[kind.__name__])
        for kind, condition in CONDITIONS
    ]
    columns = ("Class", "MSA-1", "ERR-3 (table 0357)", "Text", "When")
    return StatementTable("Codes of a message that is refused", columns, rows)


_WORDS: Final = {
    "Undecodable": "bytes that the character set does not have",
    "Malformed": "it is no HL7 message, or its structure is not that of the standard",
    "RequiredMissing": "a required field has no value",
    "InvalidValue": "a value does not fit its attribute",
    "UnknownCode": "a code is not in its table",
    "UnknownSender": "MSH-3 and MSH-4 are of no sender of the listener",
    "ValueTooLong": "a value is longer than its attribute takes",
    "UnsupportedType": "MSH-9.1 is not taken here",
    "UnsupportedEvent": "MSH-9.2 is not taken here",
    "UnknownKey": "the order that is meant has not come",
    "DuplicateKey": "the Study Instance UID or number belongs to another order",
    "Conflict": "it contradicts what is known, such as an order number of another patient",
    "GatewayError": "a fault of the gateway, or the database is away: send again",
}


def _errors() -> StatementTable:
    rows = [
        ("ERR-1", "segment, sequence, field and code, for messages before 2.5"),
        ("ERR-2", "segment^sequence^field^repetition^component^subcomponent"),
        ("ERR-3", "the code of table 0357"),
        ("ERR-4", "E"),
        ("ERR-7, ERR-8", "what is wrong, and how to mend it"),
    ]
    return StatementTable(f"ERR, at most {MOST_PROBLEMS} of them", ("Field", "Content"), rows)


# Transport and character sets


def _mllp_text() -> str:
    return _MLLP.format(start=START, end=END, cr=CR, commit=COMMIT[0], negative=NEGATIVE_COMMIT[0])


def _character_sets() -> StatementTable:
    rows = [(name, codecs[0].replace("_", "-")) for name, codecs in TABLE_0211.items()]
    return StatementTable("Character sets of MSH-18 (table 0211)", ("Name", "Read as"), rows)


_INTRODUCTION: Final = """\
What the gateway of {site} takes, answers and sends in HL7 v2, made by `gateway conformance hl7` from the tables by
which it serves, the mapping files and the configuration in force; `docs/conformance-hl7.md` is that of the defaults."""
_LISTENERS: Final = """\
Each listener is one MLLP port. Versions 2.1 to 2.8.2 are read alike: a field counts where it stands, whatever MSH-12
states. A message is kept as it came before it is read."""
_ACKNOWLEDGEMENTS: Final = """\
The acknowledgement follows the commit: after AA the order is in the database, and the next worklist query shows it.
In original mode each message has one answer: AA, AE (the content is wrong; the same message will be refused again) or
AR (not taken, or not possible now). In enhanced mode MSH-15 and MSH-16 decide (AL, NE, ER, SU): CA, CE or CR, then
AA, AE or AR where an application acknowledgement is asked for; where both fields are empty, as in original mode. A
message with the MSH-10 and the bytes of one that is kept is answered as that was. A batch (FHS, BHS) is answered by a
batch. What is an acknowledgement itself is never answered. MSA-3 has the first fault. The answer is in the version,
the delimiters and the character set of the message."""
_MLLP: Final = """\
A block is 0x{start:02X}, the message, 0x{end:02X} 0x{cr:02X}. Release 2 adds a commit acknowledgement ahead of the
answer: one block of 0x{commit:02X} (stored) or 0x{negative:02X} (not stored). Several messages may be on their way on
a connection; they are answered in their order. Bytes between blocks are skipped and logged. Segments end with CR; LF
and CR LF are read as well. Delimiters are those of MSH-1 and MSH-2."""
_CHARACTER_SETS: Final = """\
The first repetition of MSH-18 is the set in which a message begins; others are sets that it may switch to by escape
sequences of ISO 2022. A byte order mark counts more than MSH-18. An answer is in the set of its message. Other names
in use, such as those of IANA (`ISO-8859-1`, `windows-1252`), are read too."""
