import pytest
from pydantic import BaseModel, ValidationError

from app.api import options, schemas

MODELS = [
    *options.Options.__subclasses__(),
    *schemas.Given.__subclasses__(),
]
# A value for what has no default.
NEEDED = {"person": "ada", "id": "ada", "name": "staff", "role": "read"}
FIELDS = [(model, name) for model in MODELS for name in model.model_fields]


def validated(model: type[BaseModel], **given: object) -> BaseModel:
    needed = {
        name: NEEDED[name] for name, field in model.model_fields.items() if field.is_required()
    }
    return model.model_validate(needed | given)


@pytest.mark.parametrize(("model", "name"), FIELDS)
def test_a_null_is_taken_where_it_is_the_default_and_else_refused(model, name):
    if (
        model.model_fields[name].get_default() is None
        and not model.model_fields[name].is_required()
    ):
        assert getattr(validated(model, **{name: None}), name) is None
    else:
        with pytest.raises(ValidationError):
            validated(model, **{name: None})


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (model, name)
        for model, name in FIELDS
        if name in ("threshold", "min_score", "max_faces", "top_k", "retention_days")
    ],
)
def test_true_is_no_number(model, name):
    with pytest.raises(ValidationError, match="no numbers"):
        validated(model, **{name: True})
