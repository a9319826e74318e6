"""The server of forks that `clients.py` starts: reads one pickled order after the other from stdin."""

import gc
import importlib
import os
import pickle
import sys
import threading
import traceback

PRELOADED = ["datasets", "pandas", "pytest", "transformers.pipelines", "luab_data.script", "luab_trainer.run"]


def serve() -> dict:
    """Forks a process for each run, and tells its status when asked; returns the order, in the child only."""
    orders, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", 0)
    while True:
        order = pickle.load(orders)
        if "wait" in order:
            answer = os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])
        else:
            answer = os.fork()
            if answer == 0:
                return order
        answers.write(pickle.dumps(answer))


def run(order: dict) -> int:
    """Runs the ordered function as if this were its own process, up to the exit status."""
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ.update(order["environment"])
    os.chdir(order["cwd"])
    try:
        function = getattr(importlib.import_module(order["module"]), order["function"])
        order["answer"].write_bytes(pickle.dumps(function(*order["args"])))
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()
    status = run(serve())
    threading._shutdown()  # waits for threads, as the interpreter does; what it does after that takes seconds
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
