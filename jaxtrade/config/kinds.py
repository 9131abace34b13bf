"""The kinds of values that configurations are made of."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, PlainSerializer, PlainValidator

from jaxtrade.amounts import Amount, AmountRule


def _no_bool(value: Any) -> Any:
    """Refuse YAML's true/false where a number is meant (pydantic would read them as 1 and 0)."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


Int = Annotated[int, BeforeValidator(_no_bool)]
Float = Annotated[FiniteFloat, BeforeValidator(_no_bool)]
Count = Annotated[Int, Field(ge=1)]
Bars = Annotated[Int, Field(ge=0)]
Share = Annotated[Float, Field(ge=0, le=1)]

AS_DATA = PlainSerializer(lambda amount: list(amount) if isinstance(amount, tuple) else amount)
Percent = Annotated[Amount, PlainValidator(AmountRule(below=100)), AS_DATA]
YearlyPercent = Annotated[Amount, PlainValidator(AmountRule()), AS_DATA]
BasisPoints = Annotated[Amount, PlainValidator(AmountRule(below=5000)), AS_DATA]
Money = Annotated[Amount, PlainValidator(AmountRule()), AS_DATA]
OneRate = Annotated[Amount, PlainValidator(AmountRule(by_symbol=False)), AS_DATA]
Capital = Annotated[Amount, PlainValidator(AmountRule(above=0, by_symbol=False)), AS_DATA]
Fixed = Annotated[Amount, PlainValidator(AmountRule(ranges=False)), AS_DATA]
FixedPercent = Annotated[Amount, PlainValidator(AmountRule(most=100, ranges=False)), AS_DATA]


class Section(BaseModel):
    """A frozen part of the configuration that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
