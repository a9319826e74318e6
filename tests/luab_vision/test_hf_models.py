"""transformers' models say privately what `luab_vision/adapters/hf_models.py` reads there."""

import pytest
from fixtures.tiny_models import images, tiny_model
from transformers import AttentionInterface, ViTConfig
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from luab_vision.adapters.hf_models import attend_by_default, attend_with, attention_module
from luab_vision.tested_models import TRANSFORMERS, names_of

CHANGED = (
    "transformers changed {what}: read its new way, change luab_vision/adapters/hf_models.py, and raise the "
    "bound of transformers in setup.cfg."
)
CALLED = []


def noted(module, *args, **kwargs):
    CALLED.append(type(module))
    return sdpa_attention_forward(module, *args, **kwargs)


AttentionInterface.register("noted", noted)


@pytest.mark.parametrize("model_type", names_of(TRANSFORMERS, "cls"))
def test_the_modules_that_attend_are_those_that_the_model_names(model_type):
    model = tiny_model(model_type)
    named = attention_module(model)
    assert named is not None, CHANGED.format(what="_can_record_outputs")
    assert attend_with(model, "noted"), CHANGED.format(what="_can_set_attn_implementation")
    CALLED.clear()
    model(images())
    assert CALLED and set(CALLED) == {named}, CHANGED.format(what="how models choose their attention")


def test_what_cannot_be_switched_says_so():
    assert attend_with(tiny_model("mobilevit"), "noted") is False
    assert attention_module(tiny_model("convnext")) is None


def test_a_config_that_asks_for_an_attention_can_be_told_to_forget_it():
    config = ViTConfig(attn_implementation="eager")
    attend_by_default(config)
    assert "eager" not in config.to_json_string()
    model = tiny_model("vit", attn_implementation="eager")
    attend_by_default(model.config)
    again = type(model)(model.config)
    assert again.config._attn_implementation == "sdpa", CHANGED.format(what="_attn_implementation")
