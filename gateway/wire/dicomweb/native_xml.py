"""The Native DICOM Model as XML (PS3.19 A.1)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from gateway.errors import Malformed, TooLarge
from gateway.long_work import pause
from gateway.wire.dicomweb.dataset import (
    BINARY,
    WITHOUT_SIGNS,
    Attribute,
    Dataset,
    Readable,
    base64_of,
    bytes_of,
    check_depth,
    is_of_data_sets,
    keyword_of,
    tag_of,
    vr_of,
)

NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_CURE: Final = f"send a NativeDicomModel of {NAMESPACE} with a DicomAttribute for each attribute"
_FED_BYTES: Final = 16 * 1024
"""Of a document at a time: no other thread computes meanwhile."""
MAX_MARKS: Final = 1_000_000
"""Tags of elements, which take 300 bytes each. A performed step of a hundred thousand images has so many."""
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML 1.0 document holds."""


# To XML


def write(dataset: Mapping[int, Readable]) -> bytes:
    """One data set as a document, attributes in ascending order of their tags."""
    root = Element("NativeDicomModel", {"xmlns": NAMESPACE, "xml:space": "preserve"})
    _fill(root, dataset)
    document: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def _fill(parent: Element, dataset: Mapping[int, Readable]) -> None:
    pause()
    for tag in sorted(dataset):
        attribute = dataset[tag]
        named = {"keyword": keyword} if (keyword := keyword_of(tag)) else {}
        element = SubElement(parent, "DicomAttribute", {"tag": f"{tag:08X}", "vr": attribute.vr, **named})
        for number, item in enumerate(attribute.items if attribute.vr == "SQ" else (), 1):
            _fill(SubElement(element, "Item", {"number": str(number)}), item)
        if attribute.vr in BINARY and any(attribute.values):
            SubElement(element, "InlineBinary").text = base64_of(attribute)
        elif attribute.vr != "SQ" and any(attribute.values):
            write_value = _write_name if attribute.vr == "PN" else _write_value
            for number, value in enumerate(attribute.values, 1):
                written = value.translate(WITHOUT_SIGNS) if attribute.vr == "AT" else _NO_XML.sub("", value)
                write_value(element, str(number), written)


def _write_value(parent: Element, number: str, value: str) -> None:
    SubElement(parent, "Value", {"number": number}).text = value


def _write_name(parent: Element, number: str, value: str) -> None:
    name = SubElement(parent, "PersonName", {"number": number})
    for group, written in zip(_GROUPS, value.split("="), strict=False):
        if written:
            components = SubElement(name, group)
            for component, text in zip(_COMPONENTS, written.split("^"), strict=False):
                if text:
                    SubElement(components, component).text = text


# From XML


class _WithoutDoctype(ElementTree.TreeBuilder):
    """Refuses a document type: its entities may grow a small body to gigabytes, or name other files."""

    def doctype(self, *_: Any) -> None:
        raise Malformed("a document type is not taken; leave DOCTYPE out", place="body")


def read(body: bytes) -> Dataset:
    """The data set of a document. Raises `Malformed` with the place and the cure, or `TooLarge` for more elements than
    any data set has."""
    if body.count(b"<") > MAX_MARKS:
        raise TooLarge(f"more than {MAX_MARKS} tags of elements", place="body")
    parser = ElementTree.XMLParser(target=_WithoutDoctype())
    try:
        for at in range(0, len(body), _FED_BYTES):
            parser.feed(body[at : at + _FED_BYTES])
            pause()
        root = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Malformed(f"no XML: {error}; {_CURE}", place="body") from None
    if _local(root) != "NativeDicomModel":
        raise Malformed(f"the document is no NativeDicomModel; {_CURE}", place="body")
    return _dataset(root, "", 1)


def _local(element: Element) -> str:
    """The name without its namespace, which some writers leave out."""
    return str(element.tag).rpartition("}")[2]


def _dataset(parent: Element, above: str, depth: int) -> Dataset:
    pause()
    check_depth(depth, above or "body")
    attributes: dict[int, Attribute] = {}
    for element in parent:
        written = element.get("tag", "")
        tag = tag_of(written)
        if _local(element) != "DicomAttribute" or tag is None:
            place = f"{above}{_local(element)} {written}".strip()[:200]
            raise Malformed(f"no DicomAttribute with a tag of eight hexadecimal digits; {_CURE}", place=place)
        if is_of_data_sets(tag):
            attributes[tag] = _attribute(tag, element, above + written, depth)
    return attributes


def _attribute(tag: int, element: Element, place: str, depth: int) -> Attribute:
    vr = element.get("vr") or vr_of(tag)
    if vr == "SQ":
        items = [one for one in element if _local(one) == "Item"]
        return Attribute(tag, vr, items=tuple(_dataset(one, f"{place}.", depth + 1) for one in items))
    read_value = _VALUES["PersonName" if vr == "PN" else "Value"]
    values = [read_value(one) for one in element if _local(one) in _VALUES]
    inline = next((one.text or "" for one in element if _local(one) == "InlineBinary"), "")
    bulk = next((one.get("uri") or one.get("uuid") or "" for one in element if _local(one) == "BulkData"), "")
    return Attribute(tag, vr, tuple(values), binary=bytes_of(inline), bulk_uri=bulk)


def _name(element: Element) -> str:
    groups = {_local(group): group for group in element}
    return "=".join(_components(groups.get(name)) for name in _GROUPS).rstrip("=")


def _components(group: Element | None) -> str:
    texts = {_local(component): component.text or "" for component in group} if group is not None else {}
    return "^".join(texts.get(name, "") for name in _COMPONENTS).rstrip("^")


_VALUES: Final[dict[str, Callable[[Element], str]]] = {
    "Value": lambda element: element.text or "",
    "PersonName": _name,
}
