"""Finds what a stream needs before training starts: columns, classes, evaluation rows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import datasets
import pyarrow.compute as pc

from luab_attention.facts import describe_rows
from luab_attention.reading import Reading, ReadRows, label_name, reading_of
from luab_data import constants
from luab_data.console.text import counted
from luab_data.errors import SourceError
from luab_data.rows.arrow import column_path, has_column, is_list, read_column, require_column
from luab_data.rows.classes import class_names, classes_of, is_multi_label
from luab_data.rows.image_columns import folder_labels, image_paths, require_class_folders
from luab_data.rows.image_paths import check_image_paths
from luab_data.rows.labels import LabelFormat, Labels, read_labels
from luab_data.rows.splits import Part, Splits, find_eval_split, load_splits, root_of
from luab_trainer.arguments import RunArguments
from luab_trainer.config import LUABConfig
from luab_trainer.data.inputs import (
    Inputs,
    check_task,
    evaluated_byproduct,
    left_out_note,
    read_evaluation,
    require_known_classes,
)
from luab_trainer.data.streaming import AT_ONCE, FIRST_ROWS, StreamReader, read_stream
from luab_vision.weights import foreign_config, output_names

SAID = "labels: "  # begins the note on how labels were read


class Opened(NamedTuple):
    """A stream and its first rows, images not decoded."""

    rows: datasets.IterableDataset
    first: datasets.Dataset


class Classes(NamedTuple):
    """All classes of a stream, and how to read each part of it. See `ReadRows` for notes."""

    names: list[str]
    reading: Reading
    notes: list[str]


def read_stream_inputs(run: RunArguments, args: LUABConfig) -> Inputs:
    """As `read_inputs`, for a stream of training rows; only its first rows are read and checked.

    Evaluation rows are read into memory.

    Raises:
        SourceError: see `read_inputs`; or the classes cannot be determined.
    """
    learned, byproduct = args.learned, args.read_byproduct
    splits = load_splits(run.source, run.dataset_config, streaming=True)
    if run.train_split not in splits:
        raise SourceError(
            f"{run.dataset} has no split {run.train_split!r}; it has {', '.join(splits)}. Set --train_split; "
            "a stream has no parts of splits."
        )
    stream = open_stream(splits[run.train_split], f"--train_split {run.train_split}")
    loaded, notes = _evaluation_splits(run, splits) if args.do_eval else (None, [])
    reading, own = reading_of(run), Part(run.train_split, 0, 0)
    evaluated = None
    classes = known_classes(stream, reading, run.source)
    if classes is None:
        if loaded is not None:
            _, evaluated, _ = read_evaluation(run, loaded, None, None, None, reading, byproduct)
        classes = _classes_of(evaluated, stream, reading) or _classes_of_model(run, stream, reading)
    reader = StreamReader(stream.first.features, classes.reading, byproduct, run.source)
    head = replace(reader, reading=replace(classes.reading, whole=True)).read(stream.first)
    columns = head.columns
    check_task(head.rows, columns, is_multi_label(head.rows, columns), args.used, args.label_policy)
    if loaded is not None and evaluated is None:
        _, evaluated, more = read_evaluation(run, loaded, head, own, None, reading, byproduct)
        notes += more
    rows, facts = None, None
    if evaluated is not None:
        rows, facts = evaluated.rows, describe_rows(evaluated.rows, columns, learned)
        require_known_classes(set(classes_of(rows, columns.label)), classes.names)
    usable, more = evaluated_byproduct(facts, columns, learned)
    more += [f"evaluation rows: {note}" for note in left_out_note(facts, columns, learned)]
    if byproduct == "boxes":
        first = describe_rows(head.rows, columns, byproduct)
        more += [
            f"the first {first.rows:,} rows: {note}" for note in left_out_note(first, columns, byproduct)
        ]
    return Inputs(
        read_stream(stream.rows, reader, head.rows.features),
        rows,
        columns,
        classes.names,
        is_multi_label(head.rows, columns),
        None,
        facts,
        usable,
        [
            *classes.notes,
            *(note for note in head.notes if not (classes.notes and note.startswith(SAID))),
            *notes,
            *more,
            *_order_note(run, head, classes.names),
            *shard_notes(stream.rows.num_shards, args.world_size, args.dataloader_num_workers),
        ],
    )


def open_stream(rows: datasets.IterableDataset, option: str) -> Opened:
    """Reads the first rows, and more of them if the files do not declare their columns.

    Raises:
        SourceError: the stream has no rows.
    """
    features = rows.features
    if features is not None:
        rows = rows.decode(False)
        as_stored = datasets.Image(decode=False)
        features = datasets.Features(
            {name: as_stored if isinstance(f, datasets.Image) else f for name, f in features.items()}
        )
    batch = next(iter(rows.iter(FIRST_ROWS if features is None else AT_ONCE)), None)
    if batch is None:
        raise SourceError(f"{option} has no rows; give a split with some.")
    return Opened(rows, datasets.Dataset.from_dict(batch, features=features))


def known_classes(stream: Opened, reading: Reading, source: str) -> Classes | None:
    """The classes of a stream: from its column, or for a local dataset from all its labels.

    None: the stream does not tell its classes.
    """
    first, local = stream.first, root_of(source) is not None
    column = label_name(first, reading)
    if reading.classes is not None:  # the user gives them
        feature = require_column(first.features, column, "label_column")
        layout = reading.label_format
        if is_list(feature) and layout == "auto":
            hot = getattr(feature.feature, "dtype", "") in ("float32", "float64", "bool")
            layout = "multi_hot" if hot else "indices"
        return _with(reading.classes, replace(reading, label_format=layout), ())
    if column == constants.LABEL and not has_column(first.features, column):
        images = first.features.get(reading.image)
        if local and isinstance(images, datasets.Image) and None not in image_paths(first, reading.image):
            every = _column(stream, reading.image)
            labels = folder_labels(every, reading.image)
            if labels is not None:
                return _classes(labels, reading)
            if reading.label is None:
                require_class_folders(every, reading.image)
    feature = require_column(first.features, column, "label_column")
    inner = feature.feature if is_list(feature) else feature
    if isinstance(inner, datasets.ClassLabel) and not (is_list(feature) and len(inner.names) < 3):
        layout = "indices" if is_list(feature) and reading.label_format == "auto" else reading.label_format
        return _with(inner.names, replace(reading, label_format=layout), ())
    certain = is_list(feature) and getattr(inner, "dtype", "") in ("float32", "float64", "bool")
    if local or certain:  # multi-hot: each row says how many classes there are
        rows = first if certain else _column(stream, column)
        labels = read_labels(read_column(rows, column), feature, column, reading.label_format)
        return _classes(labels, reading)
    return None


def _classes(labels: Labels, reading: Reading) -> Classes:
    """The classes of labels that were all read."""
    feature = labels.feature.feature if is_list(labels.feature) else labels.feature
    if isinstance(feature, datasets.ClassLabel):
        names = list(feature.names)
    else:
        numbers = pc.list_flatten(labels.values) if is_list(labels.feature) else labels.values
        names = [str(number) for number in range(1 + pc.max(numbers).as_py())]
    if is_list(labels.feature):
        layout: LabelFormat = "indices" if labels.multi_hot is None else "multi_hot"
        reading = replace(reading, label_format=layout)
    return _with(names, reading, labels.notes)


def _with(names: Sequence[str], reading: Reading, notes: Sequence[str]) -> Classes:
    return Classes(list(names), replace(reading, classes=tuple(names), whole=False), list(notes))


def _classes_of(evaluated: ReadRows | None, stream: Opened, reading: Reading) -> Classes | None:
    """The classes of the evaluation set, for a stream that does not tell its own; None: there is none."""
    if evaluated is None:
        return None
    if is_multi_label(evaluated.rows, evaluated.columns):
        layout: LabelFormat = "indices" if evaluated.multi_hot is None else "multi_hot"
        reading = replace(reading, label_format=layout)
    note = "labels: the classes are those of the evaluation set: a training row of another one ends the run"
    return _with(class_names(evaluated.rows, evaluated.columns), reading, [note])


def _classes_of_model(run: RunArguments, stream: Opened, reading: Reading) -> Classes:
    """The classes of the model's head, if the first rows have the names of some of them.

    Raises:
        SourceError: they do not, so that nothing tells the classes.
    """
    column = label_name(stream.first, reading)
    feature = require_column(stream.first.features, column, "label_column")
    text = getattr(feature.feature if is_list(feature) else feature, "dtype", "") in (
        "string",
        "large_string",
    )
    names = output_names(foreign_config(run.model)) if run.model is not None and text else []
    try:
        read_labels(read_column(stream.first, column), feature, column, reading.label_format, names)
    except SourceError as error:
        raise SourceError(
            f"--streaming: the classes of column {column!r} would be known only after its last row. Name "
            "them with --class_names, or give a dataset whose column is a ClassLabel, a local dataset (its "
            "labels are then read first), an evaluation set that has all classes (--eval_split, "
            "--eval_dataset), or a --model whose head has these classes."
        ) from error
    layout: LabelFormat = "indices" if is_list(feature) else reading.label_format
    note = (
        f"labels: the classes are the {len(names):,} of the model's head: a training row of another one ends "
        "the run"
    )
    return _with(names, replace(reading, label_format=layout), [note])


def _column(stream: Opened, column: str) -> datasets.Dataset:
    """A column of all rows."""
    found = column_path(stream.first.column_names, column)
    if found is None:
        raise SourceError(f"there is no column {column!r}.")
    name, _ = found
    features = datasets.Features({name: stream.first.features[name]})
    batches = stream.rows.select_columns([name]).iter(1000)
    return datasets.concatenate_datasets([datasets.Dataset.from_dict(b, features=features) for b in batches])


def _evaluation_splits(run: RunArguments, splits: Splits) -> tuple[Splits | None, list[str]]:
    """The splits with the evaluation rows, loaded, and notes. None: nothing is evaluated."""
    if run.eval_boxes is not None:
        return splits, []
    if run.eval_dataset is not None:
        return load_splits(run.eval_dataset), []
    name: str | None = run.eval_split
    note: str | None = None
    if name is None:
        name, note = find_eval_split(splits, run.train_split)
    if name is None:
        return None, [note] if note else []
    own = name.partition("[")[0]
    if own not in splits:
        raise SourceError(
            f"{run.dataset} has no split {own!r}; it has {', '.join(splits)}. Set --eval_split."
        )
    if own == run.train_split:
        raise SourceError(
            f"--eval_split {name}: with --streaming, rows to evaluate on are read into memory and must be of "
            "another split than --train_split. Give one, or --eval_dataset."
        )
    stream = open_stream(splits[own], f"--eval_split {name}")
    features = stream.first.features
    batches = [datasets.Dataset.from_dict(batch, features=features) for batch in stream.rows.iter(AT_ONCE)]
    rows = datasets.concatenate_datasets(batches)
    root = root_of(run.source)
    check_image_paths(rows, run.source if root is None else str(root))
    return datasets.DatasetDict({own: rows}), [f"the {len(rows):,} rows of {own} are read into memory"]


def shard_notes(shards: int, processes: int, workers: int) -> list[str]:
    """Warnings if there are fewer shards than readers.

    Args:
        shards: The stream's files, or the parts of a raw release.
        processes: Of the run.
        workers: Loader processes of each; 0: it reads by itself.
    """
    notes = []
    have = f"the stream has {counted(shards, 'shard')} (such as a file)"
    if shards < processes:
        notes.append(
            f"{have}, fewer than the {processes} processes: each reads all rows and keeps one in {processes}"
        )
    own = shards if shards < processes else -(-shards // processes)
    if workers > max(own, 1):
        notes.append(
            f"{have}, so that {workers - own} of the {workers} loader processes "
            f"{'of each process ' if processes > 1 else ''}read nothing: lower --dataloader_num_workers, or "
            "save the dataset in more files"
        )
    return notes


def _order_note(run: RunArguments, head: ReadRows, names: Sequence[str]) -> list[str]:
    """A warning if the stream is sorted by class: a buffer hardly shuffles it."""
    found = classes_of(head.rows, head.columns.label)
    if len(found) != 1 or len(names) < 2 or len(head.rows) < AT_ONCE:
        return []
    return [
        f"the first {len(head.rows):,} rows are all of the class {names[found[0]]}: a buffer of "
        f"{run.shuffle_buffer:,} rows mixes such an order badly. Shuffle the dataset once before, or raise "
        "--shuffle_buffer"
    ]
