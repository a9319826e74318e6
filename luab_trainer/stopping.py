"""Early stopping that goes on counting where an interrupted run was."""

from typing import Any

from transformers import EarlyStoppingCallback, TrainerControl, TrainerState, TrainingArguments


class EarlyStopping(EarlyStoppingCallback):
    """transformers' early stopping, which would begin to count anew when a run resumes."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Called by the trainer. A new training, such as a search's next trial, begins to count at 0."""
        super().on_train_begin(args, state, control, **kwargs)  # type: ignore[no-untyped-call]
        saved: Any = state.stateful_callbacks  # by name, unlike what its type says
        resumed = saved.get(type(self).__name__) if state.global_step else None
        attributes = {} if resumed is None else resumed["attributes"]
        self.early_stopping_patience_counter = attributes.get("early_stopping_patience_counter", 0)
