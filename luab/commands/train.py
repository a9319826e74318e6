"""Train and evaluate an image classifier with annotation byproducts.

    luab train --model facebook/convnext-tiny-224 --dataset data/images --eval_share 0.1 --output_dir runs/1
    luab train config.yaml

The same as `luab_trainer/run.py`, without the checkout. On several GPUs:
`accelerate launch -m luab_trainer.run ...`.
"""


def main(argv: list[str]) -> None:
    """Run the command with the options in `argv`."""
    from luab_trainer.run import main as run

    debug = argv[-1:] == ["--debug"]  # with a value it is transformers' own argument
    run(argv[:-1] if debug else argv, "luab train", debug)
