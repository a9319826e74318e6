"""Broken inputs by the million for the readers of strangers' files: XML, tar, tar of tars, JSON.

    python tests/fuzz_readers.py [--inputs 1000000] [--only xml json] [--first 0]

Each input is a sound file (the seeds below) with some bytes, tokens or spans changed; its number alone says
how, so that a finding is repeated with `--only READER --first NUMBER --inputs 1`. A reader may give records,
or one of its documented errors: RejectedRecord for a record, Reject and SourceError for a file. Anything
else, a RuntimeWarning, inputs that take longer than SECONDS, or a process larger than MEGABYTES are a
finding; then the exit code is 1. XML is also read the fast way: what that reads must be what the strict
parser reads. `tests/luab_data/test_fuzz.py` runs a short piece of it.
"""

import argparse
import gzip
import io
import json
import random
import resource
import signal
import sys
import tarfile
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
from fixtures.coco_records import record

from coco_ab.byproducts import Byproducts
from imagenet_ab.clicks import click
from imagenet_ab.fast.columns import ANNOTATIONS_TYPE, CLICK_TYPE, parse_columns
from imagenet_ab.fields import Annotation, Hover, Position, Record, TimedPoint
from imagenet_ab.record import parse_record
from imagenet_ab.write import write_xml
from luab_data.errors import RejectedRecord, SourceError
from luab_data.sources.archives import TarOfTars, TarStream
from luab_data.sources.entries import Reject

SECONDS = 10  # for one batch of inputs
MEGABYTES = 1000
BATCH = 20  # inputs that the fast way reads at once
SHARES = {"xml": 0.85, "tar": 0.05, "tars": 0.03, "gzip": 0.02, "json": 0.05}  # of the inputs

POINT = TimedPoint(0.54, 0.473, 1641425052319)
FULL = Annotation(
    True, 1, (POINT,), (POINT, TimedPoint(-0.004, 1, 1641425052)), 1, (Hover("enter", 5), Hover("leave", 7)),
    344, 375, 500, 243, 244, Position(857, 1976.5), "47DBDD543E", "3HPZF4IVNX3FW186JO133U513L6YCR", 3,
)  # fmt: skip
XML = [
    write_xml(Record("n01440764/n01440764_105", (FULL, Annotation(False)))),
    write_xml(Record("a/b", (Annotation(True, mouse_tracking=(POINT,) * 3),))),
    b"<r><metadata><imageID>a/b</imageID><selected>True</selected></metadata></r>",
]
XML_TOKENS = [
    b"<", b">", b"/", b"&amp;", b"&#49;", b"&x;", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?xml ?>",
    b"<!DOCTYPE r [<!ENTITY a 'b'>]>", b"<metadata>", b"</metadata>", b"<x>", b"</x>", b"<selected>",
    b"<mouseTracking/>", b"<mouseTracking>", b"</mouseTracking>", b"<imagePosition/>", b" a='1'",
]  # fmt: skip
NUMBERS = [
    b"1e39", b"1e999", b"-1e999", b"NaN", b"inf", b"-0", b"+1", b".5", b"5.", b"1_0", b"0x1", b"1e-7", b"2E0",
    b"", b" ", b"\n", b"\0", b"\xff", "٣".encode(), b"9" * 20, b"9" * 400, b"-1", b"True", b"0", b"1.5",
]  # fmt: skip
JSON_TOKENS = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b'\\"', b"null", b"true", b'"image_id":', b"//",
    b"\\u0000", b"\\ud800", b"[" * 200, b'{"a":' * 100,
]  # fmt: skip
JSON = [json.dumps([record(9), record(25)]).encode(), b"[]", b'[{"image_id": 1}]']


def tar_of(members: Sequence[tuple[str, bytes]], format: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        end = archive.offset
    return buffer.getvalue()[:end] + bytes(1024)  # not the 10 kB to which tarfile fills up


FILES = [("a/b.xml", XML[2]), ("x" * 120 + "/a/c.xml", b"<r/>"), ("a/d.xml", b""), ("a/e.xml", b"e" * 600)]
TARS = [tar_of(FILES, format) for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]
IMAGES = tar_of([("n1_1.JPEG", b"jpeg"), ("n1_2.JPEG", b"2")], tarfile.GNU_FORMAT)
TARS_OF_TARS = [tar_of([("n1.tar", IMAGES), ("n2.tar", IMAGES)], tarfile.GNU_FORMAT)]
TAR_TOKENS = [
    b"ustar\0" + b"00", b"ustar  \0", b"00000000017\0", b"77777777777\0", b"\x80" + b"\xff" * 7, b"L", b"x",
    b"././@LongLink", b"../../etc/passwd", b"/etc/passwd", b"17 path=../../../x\n", b"12 size=99\n",
    b"9" * 25 + b" path=x\n", b"9" * 5000 + b" path=x\n",
]  # fmt: skip


def mutated(seeds: Sequence[bytes], tokens: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the seeds with one to six changes."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        start = chance.randrange(len(data) + 1)
        end = min(len(data), start + chance.choice((0, 1, 2, 8, 40, 300)))
        change = chance.randrange(6)
        if change == 0 and start < len(data):
            data[start] ^= 1 << chance.randrange(8)
        elif change == 1:
            data[start:end] = chance.choice(tokens)
        elif change == 2:
            data[start:start] = chance.choice(tokens)
        elif change == 3:
            del data[start:end]
        elif change == 4:
            data[start:start] = data[start:end] * chance.choice((1, 1, 2, 50))
        else:
            other = chance.choice(seeds)
            begin = chance.randrange(len(other) + 1)
            data[start:end] = other[begin : begin + chance.choice((1, 16, 100, 600))]
    return bytes(data)


def xml_inputs(chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return mutated(XML, XML_TOKENS + NUMBERS, chance)
    # Texts and tags in place of each other: few other changes leave a file that is well-formed.
    parts = chance.choice(XML).replace(b">", b">\0").replace(b"<", b"\0<").split(b"\0")
    for _ in range(chance.choice((1, 1, 2))):
        parts[chance.randrange(len(parts))] = chance.choice((*NUMBERS, *XML_TOKENS, *parts))
    return b"".join(parts)


def tar_inputs(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    data = bytearray(mutated(seeds, TAR_TOKENS, chance))
    if chance.random() < 0.7:  # otherwise the checksum would end nearly all of them
        for start in range(0, len(data) - 511, 512):
            if data[start + 257 : start + 262] == b"ustar":
                header = data[start : start + 148] + b" " * 8 + data[start + 156 : start + 512]
                data[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    return bytes(data)


def read_xml(inputs: Sequence[bytes], folder: Path) -> Iterator[str]:
    # Behind them two files that go on in the next, as if a file's end could be overlooked.
    cut = random.Random(inputs[0]).randrange(len(XML[1]) + 1)
    files = [*inputs, XML[0][:cut], XML[0][cut:], XML[0] + XML[1][:cut], XML[1][cut:], XML[1]]
    columns = parse_columns(files)
    taken = dict.fromkeys(columns.numbers.tolist())
    outcomes = []
    for number, xml in enumerate(files):
        try:
            read = parse_record(xml)
        except RejectedRecord as error:
            assert error.reason and "\n" not in error.reason and number not in taken, xml
            outcomes.append("rejected")
        else:
            if number in taken:
                taken[number] = read
            outcomes.append("read, also the fast way" if number in taken else "read")
    records = list(taken.values())
    assert columns.image_ids.to_pylist() == [each.image_id for each in records]
    annotations = [[asdict(annotation) for annotation in each.annotations] for each in records]
    for column, expected in (
        (columns.annotations, pa.array(annotations, ANNOTATIONS_TYPE)),
        (columns.clicks, pa.array(list(map(click, records)), CLICK_TYPE)),
    ):
        assert repr(column.to_pylist()) == repr(expected.to_pylist())
    yield from outcomes[: len(inputs)]


def read_tars(inputs: Sequence[bytes], folder: Path) -> Iterator[str]:
    for number, data in enumerate(inputs):
        yield outcome(tar_entries, folder, data if number % 2 else gzip.compress(data, 1))


def read_gzips(inputs: Sequence[bytes], folder: Path) -> Iterator[str]:
    return (outcome(tar_entries, folder, data) for data in inputs)


def read_tars_of_tars(inputs: Sequence[bytes], folder: Path) -> Iterator[str]:
    return (outcome(lambda path: list(TarOfTars(path, max_bytes=4096)), folder, data) for data in inputs)


def read_json(inputs: Sequence[bytes], folder: Path) -> Iterator[str]:
    return (outcome(lambda path: list(Byproducts(path).ids()), folder, data) for data in inputs)


def tar_entries(path: Path) -> list:
    return list(TarStream(path, max_bytes=4096, max_total_bytes=1 << 20))


def outcome(read: Callable[[Path], list], folder: Path, data: bytes) -> str:
    path = folder / "input"
    path.write_bytes(data)
    try:
        found = read(path)
    except SourceError:
        return "error of the whole file"
    return "with rejects" if any(isinstance(each, Reject) for each in found) else "read"


GZIPS = [gzip.compress(data, level, mtime=0) for data in TARS for level in (1, 9)]
READERS = {
    "xml": (xml_inputs, read_xml),
    "tar": (lambda chance: tar_inputs(TARS, chance), read_tars),
    "tars": (lambda chance: tar_inputs(TARS_OF_TARS, chance), read_tars_of_tars),
    "gzip": (lambda chance: mutated(GZIPS, [b"\x1f\x8b\x08\0", b"\0" * 8, b"\xff" * 4], chance), read_gzips),
    "json": (lambda chance: mutated(JSON, JSON_TOKENS + NUMBERS, chance), read_json),
}


def fuzz(reader: str, first: int, count: int) -> tuple[Counter[str], list[str]]:
    """Reads inputs `first` to `first + count`: how often what came out, and the findings."""
    make, read = READERS[reader]
    outcomes, findings = Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        for start in range(first, first + count, BATCH):
            numbers = range(start, min(start + BATCH, first + count))
            inputs = [make(random.Random(f"{reader} {number}")) for number in numbers]
            try:
                with time_limit(SECONDS), warnings.catch_warnings():
                    warnings.simplefilter("error", RuntimeWarning)
                    outcomes.update(read(inputs, Path(folder)))
            except (Exception, TooSlow) as error:  # whatever it is, it is what is looked for
                findings.append(f"{reader}, inputs {numbers}: {type(error).__name__}: {str(error)[:300]}")
    return outcomes, findings


class TooSlow(BaseException):
    """No Exception: a reader may turn what it catches into one of its documented errors."""


@contextmanager
def time_limit(seconds: int):
    def stop(*_):
        raise TooSlow(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=1_000_000, help="of all readers (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--only", nargs="+", choices=list(READERS), default=list(READERS))
    arguments = parser.parse_args()
    total = sum(SHARES[reader] for reader in arguments.only)
    failed = False
    for reader in arguments.only:
        count = round(arguments.inputs * SHARES[reader] / total)
        started = time.process_time()
        outcomes, findings = fuzz(reader, arguments.first, count)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        spent = time.process_time() - started
        counts = ", ".join(f"{number:,} {name}" for name, number in outcomes.most_common())
        print(
            f"{reader}: {count:,} inputs in {spent:.0f} s CPU, peak {megabytes:.0f} MB: {counts}", flush=True
        )
        for finding in findings[:20]:
            print(f"  {finding}")
        if megabytes > MEGABYTES:
            print(f"  the process took more than {MEGABYTES} MB")
        failed = failed or bool(findings) or megabytes > MEGABYTES
    sys.exit(int(failed))


if __name__ == "__main__":
    main()
