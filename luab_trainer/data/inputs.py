"""Loads, reads, checks and counts the rows that `run.py` trains and evaluates on."""

from dataclasses import replace
from typing import NamedTuple

import datasets

from luab_attention.boxes.formats import BoxFormat, box_format, load_boxes
from luab_attention.facts import RowFacts, describe_rows, no_target
from luab_attention.reading import Reading, ReadRows, label_name, points_as_in, read_rows, reading_of
from luab_attention.shuffling import shuffle_byproducts
from luab_attention.targets import LabelPolicy
from luab_data.console.names import few
from luab_data.constants import IMAGE, LABEL, LABELS, OBJECTS
from luab_data.errors import SourceError
from luab_data.rows.arrow import has_column, is_list, read_column, require_column
from luab_data.rows.classes import class_names, classes_of, is_multi_label
from luab_data.rows.columns import ByproductKind, Columns
from luab_data.rows.image_columns import unlisted_images
from luab_data.rows.labels import GAPS, LabelFormat
from luab_data.rows.same_classes import class_feature, with_classes_of
from luab_data.rows.splits import (
    Part,
    Splits,
    find_eval_split,
    find_part,
    hold_out,
    load_splits,
    part_of,
    root_of,
)
from luab_trainer.arguments import RunArguments
from luab_trainer.config import LUABConfig


class Inputs(NamedTuple):
    """Rows as training reads them, all of them checked.

    Attributes:
        train: training rows, or a stream of them. None: nothing is trained, and there is no such split.
        evaluated: evaluation rows, with the training rows' classes. None: there are none.
        columns: names of their columns, the same in both.
        names: class names, in the order of the class numbers.
        multi_label: whether an image may have several labels.
        train_facts, eval_facts: counts of the rows. None: a stream, or no such rows.
        eval_byproduct: byproduct of the evaluation's byproduct terms. None: they are not computed.
        notes: messages for the user, one line each.
    """

    train: datasets.Dataset | datasets.IterableDataset | None
    evaluated: datasets.Dataset | None
    columns: Columns
    names: list[str]
    multi_label: bool
    train_facts: RowFacts | None
    eval_facts: RowFacts | None
    eval_byproduct: ByproductKind | None
    notes: list[str]


def read_inputs(run: RunArguments, args: LUABConfig) -> Inputs:
    """Load, read and check all rows that a run trains or evaluates on.

    Without training, the training rows only define the classes, and may be missing.

    Raises:
        SourceError: any problem that would end the run later, or that training would have to guess about.
    """
    learned, byproduct = args.learned, args.read_byproduct
    splits = load_splits(run.source, run.dataset_config)
    reading = reading_of(run)
    whole, part, train = None, None, None
    notes = unlisted_images(splits, run.image_column, root_of(run.source))
    if args.do_train or run.train_split.partition("[")[0] in splits:
        part = find_part(splits, run.train_split, run.source, "train_split")
        root = root_of(run.source)
        whole = read_rows(splits[part.split], reading, byproduct, root, required=args.do_train)
        train = part_of(whole.rows, part)
        notes += whole.notes
    evaluated: ReadRows | None = None
    more: list[str] = []
    if args.do_eval or run.eval_share is not None:  # held out in any case: a later run may evaluate on them
        train, evaluated, more = read_evaluation(
            run, splits, whole, part, train, reading, byproduct, args.do_train
        )
    if not args.do_eval:
        evaluated = None
    known = evaluated if whole is None else whole
    if known is None:
        raise SourceError(
            "there are no rows to train or to evaluate on. Give --eval_split, --eval_share or --eval_dataset."
        )
    columns = known.columns
    names = class_names(known.rows, columns)
    multi_label = is_multi_label(known.rows, columns)
    check_task(known.rows, columns, multi_label, args.used, args.label_policy)
    eval_rows = None if evaluated is None else evaluated.rows
    counted = byproduct if args.do_train else None  # of boxes, images are opened
    train_facts = None if train is None else describe_rows(train, columns, counted)
    eval_facts = None if eval_rows is None else describe_rows(eval_rows, columns, learned)
    if counted is not None and train_facts is not None:
        _require_targets(train_facts, columns, counted)
    more += left_out_note(train_facts, columns, byproduct)
    more += [f"evaluation rows: {note}" for note in left_out_note(eval_facts, columns, learned)]
    if train is not None and byproduct is not None and run.shuffle_byproducts is not None:
        train = shuffle_byproducts(train, byproduct, columns, run.shuffle_byproducts)
        train_facts = describe_rows(train, columns, counted)
        if counted is not None:
            _require_targets(train_facts, columns, counted)
    if train is not None and eval_rows is not None:
        of_classes = _class_notes(train, eval_rows, columns.label, names)
        more += of_classes if args.do_train else []
    usable, absent = evaluated_byproduct(eval_facts, columns, learned)
    return Inputs(
        train,
        eval_rows,
        columns,
        names,
        multi_label,
        train_facts,
        eval_facts,
        usable,
        notes + more + absent,
    )


def evaluated_byproduct(
    facts: RowFacts | None, columns: Columns, learned: ByproductKind | None
) -> tuple[ByproductKind | None, list[str]]:
    """The byproduct of an evaluation's byproduct terms, and a note if there is none."""
    if facts is None or learned is None or facts.with_target:
        return (None if facts is None else learned), []
    wanted = ", ".join(columns.of_byproduct(learned))
    return None, [f"the evaluation rows have no usable byproduct ({wanted}): its loss is not evaluated"]


def read_evaluation(
    run: RunArguments,
    splits: Splits,
    whole: ReadRows | None,
    part: Part | None,
    train: datasets.Dataset | None,
    reading: Reading,
    byproduct: ByproductKind | None,
    trained: bool = True,
) -> tuple[datasets.Dataset | None, ReadRows | None, list[str]]:
    """The training rows, the evaluation rows as read, and notes.

    Args:
        run: The run's options.
        splits: The splits of `--dataset`.
        whole: The training split, or the first rows of a stream.
        part: The part of it to train on.
        train: The rows of this part.
        reading: The rows' columns, and how to read them.
        byproduct: The byproduct to learn from.
        trained: Whether the run trains, and not only evaluates.
    """
    if run.eval_share is not None:
        if whole is None or train is None or len(train) == 0:
            raise SourceError(f"--eval_share {run.eval_share}: there are no training rows to hold it out of.")
        several = is_multi_label(whole.rows, whole.columns)
        labels = None if several else read_column(train, whole.columns.label).to_numpy()
        kept, held = hold_out(labels, len(train), run.eval_share)
        if not len(held):
            raise SourceError(f"--eval_share {run.eval_share} of {len(train)} rows is no row; take more.")
        how = (
            "drawn without regard to their classes, for they have several"
            if several
            else "that share of each class"
        )
        held_out = (
            f"{len(held):,} of {len(train):,} rows are held out to be evaluated on (--eval_share), {how}"
        )
        return train.select(kept), whole._replace(rows=train.select(held)), [held_out]
    if run.eval_boxes is not None:
        return train, read_evaluation_boxes(run, run.eval_boxes, whole), []
    source = run.eval_dataset or run.source
    if run.eval_dataset is not None:
        splits = load_splits(run.eval_dataset)
    name: str | None = run.eval_split
    note: str | None = None
    if name is None:
        name, note = find_eval_split(splits, part.split if part is not None and source == run.dataset else "")
        if name is None and run.eval_dataset is not None and len(splits) == 1:
            name, note = next(iter(splits)), None
    notes = [note] if note else []
    if name is None:
        return train, None, notes
    own = find_part(splits, name, source, "eval_split")
    if whole is not None and part is not None and source == run.dataset and own.split == part.split:
        if trained and (shared := part.shared(own)):
            notes.append(
                f"warning: {shared:,} of the {own.stop - own.start:,} rows to evaluate on are trained on too "
                f"({run.train_split} and {name}): its figures say nothing about new images"
            )
        return train, whole._replace(rows=part_of(whole.rows, own)), notes
    if whole is not None:
        several = is_multi_label(whole.rows, whole.columns)
        lists: LabelFormat = "indices" if whole.multi_hot is None else "multi_hot"
        layout: LabelFormat = lists if several else "auto"
        reading = replace(reading, label=whole.columns.label, label_format=layout)
        reading = _naming(reading, splits[own.split])
        if reading.x is None and reading.points_file is None:
            reading = points_as_in(whole, splits[own.split], reading)
    rows = part_of(splits[own.split], own)
    read = read_rows(rows, reading, byproduct, root_of(source), required=False)
    if whole is not None:
        if read.multi_hot != whole.multi_hot:
            raise SourceError(
                f"column {read.columns.label!r} is multi-hot of {whole.multi_hot} classes in the training "
                f"set and of {read.multi_hot} in the evaluation set; both must be the same."
            )
        read = read._replace(rows=with_classes_of(whole.rows, read.rows, whole.columns.label))
    return train, read, notes + _said_of(read.notes, whole)


def _naming(reading: Reading, rows: datasets.Dataset) -> Reading:
    """How evaluation rows are read: `--class_names` names their numbers, and names are matched later."""
    if reading.named and reading.label is not None and has_column(rows.features, reading.label):
        kind = class_feature(require_column(rows.features, reading.label, "label_column"))
        if isinstance(kind, datasets.Value) and kind.dtype not in ("string", "large_string"):
            return reading
    return replace(reading, classes=None, named=False)


def _said_of(notes: list[str], whole: ReadRows | None) -> list[str]:
    """The notes on the evaluation rows, without what the training rows' say of the same columns."""
    if whole is None:
        return notes
    same = {note for note in whole.notes if note.startswith(("labels: ", "points: "))}
    return [f"evaluation rows: {note}" for note in notes if note not in same and not note.startswith(GAPS)]


def read_evaluation_boxes(run: RunArguments, boxes: str, whole: ReadRows | None) -> ReadRows:
    """The images of `--eval_dataset` with their boxes, in the columns of the training rows.

    Raises:
        SourceError: no images, invalid or XML files, or one class per image for training rows with several.
    """
    if run.eval_dataset is None:
        raise SourceError("--eval_boxes needs --eval_dataset, the folder of its images.")
    if box_format(boxes) is BoxFormat.ILSVRC:
        raise SourceError(
            f"--eval_boxes {boxes} is a folder. Give a CSV (file,x0,y0,x1,y1,width,height) or COCO's "
            "instances as .json; XML files are for `luab localize` and `luab evaluate`."
        )
    csv = box_format(boxes) is BoxFormat.CSV
    if csv and whole is not None and is_multi_label(whole.rows, whole.columns):
        raise SourceError(
            f"--eval_boxes {boxes}: a CSV gives each image the one class that its folder is called, but "
            f"column {whole.columns.label!r} has several. Give COCO's instances as .json, or a dataset with "
            f"a column {OBJECTS!r}."
        )
    rows = load_boxes(run.eval_dataset, boxes)
    own_label = LABELS if LABELS in rows.column_names else LABEL
    if whole is None:
        rows = rows.rename_columns({IMAGE: run.image_column, own_label: run.label_column or own_label})
        return ReadRows(rows, Columns(run.image_column, label_name(rows, reading_of(run))), None, [])
    rows = rows.rename_columns({IMAGE: whole.columns.image, own_label: whole.columns.label})
    return ReadRows(with_classes_of(whole.rows, rows, whole.columns.label), whole.columns, None, [])


def _require_targets(facts: RowFacts, columns: Columns, byproduct: ByproductKind) -> None:
    if facts.rows and not facts.with_target:
        raise no_target(f"none of the {facts.rows:,}", columns, byproduct, facts.left_out)


def left_out_note(facts: RowFacts | None, columns: Columns, byproduct: ByproductKind | None) -> list[str]:
    """A note on parts of byproducts that cannot be used, if there are some."""
    if facts is None or byproduct is None or not facts.left_out:
        return []
    return [f"{', '.join(columns.of_byproduct(byproduct))}: {facts.left_out}"]


def require_known_classes(evaluated: set[int], names: list[str]) -> None:
    """Raises SourceError for class numbers that the training set does not have."""
    if beyond := sorted(evaluated - set(range(len(names)))):
        raise SourceError(
            f"the evaluation set has the class numbers {few(beyond)}, but the training set's are 0 to "
            f"{len(names) - 1}."
        )


def _class_notes(
    train: datasets.Dataset, evaluated: datasets.Dataset, label: str, names: list[str]
) -> list[str]:
    """Notes on classes that are only trained, or only evaluated."""
    one, two = set(classes_of(train, label)), set(classes_of(evaluated, label))
    require_known_classes(two, names)
    notes = []
    for found, where in (
        (two - one, "only in the rows to evaluate on, so never trained"),
        (one - two, "only in the rows to train on, so not evaluated"),
    ):
        if found:
            some = few([names[number] for number in sorted(found)])
            are = "is" if len(found) == 1 else "are"
            notes.append(f"warning: {len(found):,} of {len(names):,} classes {are} {where}: {some}")
    if two - one:
        notes[0] += ". If rows are in the order of their classes, hold out with --eval_share 0.1"
    return notes


def check_task(
    rows: datasets.Dataset,
    columns: Columns,
    multi_label: bool,
    byproduct: ByproductKind | None,
    label_policy: LabelPolicy,
) -> None:
    """Raises SourceError for options that do not fit the number of labels per image."""
    if multi_label and byproduct in ("trace", "click+trace"):
        paths = rows.features.get(columns.scanpaths)
        labeled = is_list(paths) and isinstance(paths.feature, dict) and LABEL in paths.feature
        fits = (
            f"--byproduct scanpath, whose column {columns.scanpaths!r} says it of each path, or click"
            if labeled
            else "--byproduct click"
        )
        raise SourceError(
            f"--byproduct {byproduct}: a trace does not say which of an image's labels (column "
            f"{columns.label!r}) it belongs to; take {fits}."
        )
    if not multi_label and label_policy != "keep":
        raise SourceError(
            f"--label_policy {label_policy} is for several labels an image, but column {columns.label!r} has "
            "one; leave the option out."
        )
