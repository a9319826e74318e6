"""Train and evaluate an image classifier with annotation byproducts.

    accelerate launch luab_trainer/run.py --model google/vit-base-patch16-224 --dataset DIR_OR_ID \
        --byproduct click --loss attention --output_dir runs/vit
    python luab_trainer/run.py config.yaml
"""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

if __package__ in (None, ""):  # run as a script: import from the checkout, not from this folder
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from luab_data.console.bars import quiet_bars

if __name__ == "__main__":
    quiet_bars()  # before the libraries are imported

import datasets
from transformers import TrainerCallback, set_seed

from luab_attention.area_maps import GRID, map_grid
from luab_attention.boxes.rows import RowBoxes, require_upright
from luab_data.console.boundary import boundary
from luab_data.console.disk import full_disk_explained
from luab_data.console.text import printable
from luab_data.errors import SourceError
from luab_data.rows.columns import AREA_KINDS, ByproductKind, Columns
from luab_trainer.announcement import announcement, control_text, data_facts, model_facts, run_facts
from luab_trainer.arguments import RunArguments, parse
from luab_trainer.classifier import load_start
from luab_trainer.config import LUABConfig
from luab_trainer.data.background import BackgroundMix
from luab_trainer.data.cutmix import CutMix
from luab_trainer.data.dataset import ViewDataset, ViewIterableDataset
from luab_trainer.data.inputs import Inputs, read_inputs
from luab_trainer.data.mixup import MixUp
from luab_trainer.data.stream_inputs import read_stream_inputs
from luab_trainer.data.streaming import StreamedSamples
from luab_trainer.hub.checkpoint import checkpoint_to_resume, load_head_of_model
from luab_trainer.metrics.multi_label import CLASSES_FILE, MultiLabelMetrics, write_classes
from luab_trainer.options.together import notes_of, problem_of
from luab_trainer.pointing import plays_pointing_game, pointing_game
from luab_trainer.preflight import check_output_folder, check_ready, check_rows
from luab_trainer.public_names import source_name
from luab_trainer.resizing import at_crop
from luab_trainer.trainer import LUABTrainer
from luab_vision.geometry import pair
from luab_vision.model_attention import attention_grid
from luab_vision.operations import MOVING_FILTERS, Canvas
from luab_vision.policies import named_policy
from luab_vision.processors import check_fits, image_settings
from luab_vision.transforms import (
    Augmentation,
    ColorJitter,
    EvalTransform,
    ImageSettings,
    RandomErasing,
    TrainTransform,
)

GO_ON = (
    "Run the same command again, with --resume_from_checkpoint True if there is a checkpoint: it resumes "
    "from the last whole one."
)
DISK_FULL = f"Free some (--save_total_limit keeps fewer checkpoints). {GO_ON}"
WORKER_DIED = (
    "a process of the data loader died, most often for lack of memory. Fewer of them "
    f"(--dataloader_num_workers) take less. {GO_ON}"
)


def main(argv: list[str] | None = None, prog: str = "run.py", debug: bool = False) -> None:
    """Train and evaluate with the options in `argv`.

    Args:
        argv: Options. Default: the command line.
        prog: The command that the user typed; messages begin with it.
        debug: Whether an error prints its traceback.
    """
    with boundary(prog, debug):
        run, args = parse(sys.argv[1:] if argv is None else argv, __doc__.partition("\n")[0], prog)
        try:
            check_output_folder(args.output_dir)
            with full_disk_explained(args.output_dir, DISK_FULL), args.only_run():
                accelerator = train(run, args).accelerator
        except RuntimeError as error:
            if not re.match(r"DataLoader worker \(pid", str(error)):
                raise
            raise SourceError(WORKER_DIED) from error
        # A process that exits with open connections may abort, and the launcher then kills the others. So
        # none ends before the first has saved the model, or while a wrapped model holds its connections.
        accelerator.wait_for_everyone()
        accelerator.free_memory()
        accelerator.end_training()


def train(
    run: RunArguments, args: LUABConfig, callbacks: Sequence[TrainerCallback] | None = None
) -> LUABTrainer:
    """Train, evaluate and save, and push if requested, according to `do_train` and `do_eval`.

    Raises:
        SourceError: the run is impossible; nearly always raised before the first step.
    """
    if problem := problem_of(run, args):
        raise SourceError(problem)
    with args.main_process_first():
        inputs = read_stream_inputs(run, args) if run.streaming else read_inputs(run, args)
    args.settle_mix(inputs.multi_label)
    train_rows, eval_rows, columns, names = inputs.train, inputs.evaluated, inputs.columns, inputs.names
    check_rows(run, args, train_rows, eval_rows)
    if args.should_log:
        for note in [*notes_of(run, args), *inputs.notes]:
            print(printable(f"note: {note}"), file=sys.stderr)
    set_seed(args.seed)
    model, processor, new_head = load_start(
        run.model,
        run.from_config,
        names,
        inputs.multi_label,
        run.image_size,
        trained=args.do_train,
        drop_path=run.drop_path if args.do_train else None,
    )
    checkpoint = checkpoint_to_resume(args.resume_from_checkpoint, args.output_dir)
    try:
        if run.eval_crop is not None:
            processor = at_crop(model, processor, run.eval_crop)
        settings = image_settings(processor)
        check_fits(model, settings)
        augmented = augmented_view(run, settings)
        grid = GRID
        if args.byproduct in AREA_KINDS and args.loss in ("attention", "both"):
            grid = map_grid(attention_grid(model, pair(settings.size)))
        trainer = LUABTrainer(
            model,
            args,
            train_dataset=samples(
                train_rows if args.do_train else None,
                augmented,
                args,
                columns,
                len(names),
                args.used,
                run.shuffle_buffer,
                grid,
            ),
            eval_dataset=samples(
                eval_rows,
                EvalTransform(settings),
                args,
                columns,
                len(names),
                inputs.eval_byproduct,
                grid=grid,
            ),
            processing_class=processor,
            dataset_name=run.dataset,
            eval_dataset_name=run.eval_dataset,
            run_arguments=asdict(run),
            callbacks=callbacks,
        )
    except ValueError as error:  # options that do not fit this model or these columns
        raise SourceError(str(error)) from error
    check_ready(trainer, checkpoint)
    if eval_rows is not None and plays_pointing_game(trainer, eval_rows):
        RowBoxes(columns.label, eval_rows)  # refuses a column that holds no boxes
        require_upright(eval_rows, columns.image)
    if run.model is not None and not args.do_train:
        load_head_of_model(trainer.luab, run.model)
    announce(trainer, run, inputs, new_head, checkpoint)
    if args.do_train:
        trainer.train(resume_from_checkpoint=checkpoint)
        trainer.save_model(_internal_call=True)  # before the evaluation, which an unreadable image may end
    if eval_rows is not None:
        evaluate(trainer, eval_rows, settings, columns)
    if args.do_train and eval_rows is not None:
        trainer.create_model_card()  # with the results
    if args.push_to_hub:
        trainer.push_to_hub()
    return trainer


def augmented_view(run: RunArguments, settings: ImageSettings) -> TrainTransform:
    """The transform of the training images."""
    augmentations: list[Augmentation] = []
    if run.color_jitter:
        augmentations.append(ColorJitter(run.color_jitter))
    if run.random_erasing:
        augmentations.append(RandomErasing(run.random_erasing, color=settings.neutral))
    flip = 0.5 if run.flip else 0.0
    resample = settings.resample if settings.resample in MOVING_FILTERS else Canvas.resample
    policy = named_policy(run.augment, Canvas(settings.neutral, resample))
    return TrainTransform(
        settings, (run.min_crop, 1.0), flip=flip, augmentations=augmentations, policy=policy
    )


def announce(
    trainer: LUABTrainer,
    run: RunArguments,
    inputs: Inputs,
    new_head: bool,
    checkpoint: str | None,
) -> None:
    """Print what the run will do, and pass it on to the model card."""
    args, luab, dataset = trainer.args, trainer.luab, trainer.train_dataset
    names = [luab.config.id2label[i] for i in range(luab.config.num_labels)]
    head = f", with a new head of {len(names):,} classes" if new_head else ""
    start = "random weights" if run.model is None else f"{source_name(run.model)}{head}"
    transform = (
        dataset.to_sample.transform if isinstance(dataset, ViewDataset | ViewIterableDataset) else None
    )
    seed = run.shuffle_byproducts
    crop = f"{run.eval_crop} of the resized image's side"
    trainer.facts = [
        *data_facts(inputs.train_facts, inputs.eval_facts, args, names),
        *([] if seed is None else [("control", control_text(args, seed))]),
        *model_facts(luab, args, start, transform),
        *([] if run.eval_crop is None else [("evaluation crop", crop)]),
    ]
    own = run_facts(
        args, len(dataset) if isinstance(dataset, ViewDataset) else None, checkpoint, run.streaming
    )
    if trainer.is_world_process_zero():
        print(announcement([*trainer.facts, *own]), flush=True)


def evaluate(
    trainer: LUABTrainer, rows: datasets.Dataset, settings: ImageSettings, columns: Columns
) -> dict[str, float]:
    """The metrics of the trainer's evaluation set and of the pointing game on its rows, logged and saved."""
    metrics = trainer.evaluate()
    game, by_class = pointing_game(trainer, rows, settings, columns)
    trainer.save_metrics("eval", metrics | game, combined=False)
    trainer.log_metrics("eval", metrics | game)  # with a progress bar the log prints nothing
    if not trainer.is_world_process_zero():
        return metrics | game
    classes = Path(trainer.args.output_dir, CLASSES_FILE)
    if trainer.luab.multi_label:
        names = [trainer.luab.config.id2label[i] for i in range(trainer.luab.config.num_labels)]
        if isinstance(trainer.compute_metrics, MultiLabelMetrics):
            by_class = trainer.compute_metrics.by_class | by_class
        write_classes(classes, names, by_class)
    else:
        classes.unlink(missing_ok=True)  # of an earlier evaluation into the same folder
    return metrics | game


def samples(
    rows: datasets.Dataset | datasets.IterableDataset | None,
    transform: EvalTransform,
    args: LUABConfig,
    columns: Columns,
    num_labels: int,
    byproduct: ByproductKind | None,
    shuffle_buffer: int = 0,
    grid: tuple[int, int] = GRID,
) -> ViewDataset | StreamedSamples | None:
    """Samples of the rows, with targets of the byproduct.

    Args:
        rows: The rows. None: there are none.
        transform: Of the images.
        args: The run's settings.
        columns: The rows' columns.
        num_labels: Number of classes.
        byproduct: What the targets are made from. None: there are no targets.
        shuffle_buffer: Rows, for a stream.
        grid: Of the targets of gaze, boxes, masks and heat maps.
    """
    if rows is None:
        return None
    training = isinstance(transform, TrainTransform)
    make: Callable[..., ViewDataset | StreamedSamples] = ViewDataset
    if isinstance(rows, datasets.IterableDataset):
        make = partial(StreamedSamples, shuffle_buffer=shuffle_buffer)
    return make(
        rows,
        transform,
        args.seed,
        byproduct=byproduct,
        columns=columns,
        num_labels=num_labels,
        label_policy=args.label_policy if training else "keep",
        mix=BackgroundMix(args.background_mix, args.background_radius, shape=args.background_shape)
        if training and args.background_mix
        else None,
        cutmix=CutMix(args.cutmix, args.cutmix_alpha) if training and args.cutmix else None,
        mixup=MixUp(args.mixup, args.mixup_alpha) if training and args.mixup else None,
        rows_name="training" if training else "evaluation",
        grid=grid,
        sigma=args.attention_sigma,
    )


if __name__ == "__main__":
    main()
