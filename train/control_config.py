"""The configuration of a training run on an environment of gymnax."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from jaxtrade.config import Count, Float, Int, Section
from train.config import PPOConfig, RunConfig


def _pairs(value: Any) -> Any:
    """Read `name=number` items of the command line as a mapping."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) and "=" in item for item in value):
        return dict(item.rsplit("=", 1) for item in value)
    if not isinstance(value, dict):
        raise ValueError("must be numbers by name, such as max_steps_in_episode=100")
    return value


class ControlNetwork(Section):
    """Actor and critic: two towers that share nothing."""

    kind: Literal["mlp", "lstm"] = "mlp"
    """mlp: tanh layers on the observation. lstm: the same layers on the state of an LSTM, which remembers."""
    layers: tuple[Count, ...] = (64, 64)
    """Units of each tanh layer."""
    hidden: Count = 64
    """Units of each tower's LSTM."""
    reach: Count = 20
    """Steps that the lstm's memory spans before it has learned what to keep: its units begin with up to so many."""
    log_std: Float = 0.0
    """Initial log standard deviation of continuous actions."""
    std: Literal["free", "state"] = "free"
    """free: the standard deviation of continuous actions is a parameter. state: the actor's output."""
    squash: Literal["clip", "tanh"] = "clip"
    """clip: continuous actions beyond the environment's bounds are cut. tanh: they are the tanh of a Gaussian, scaled
    to the bounds."""


class ControlPPOConfig(PPOConfig):
    """Proximal policy optimisation (Schulman et al. 2017); the defaults are those of CleanRL's ppo.py."""

    learning_rate: Annotated[Float, Field(gt=0)] = 2.5e-4
    """First learning rate of Adam."""
    value_clip: Annotated[Float, Field(ge=0)] = 0.2
    """Clip range of the value update; 0: not clipped."""
    entropy_weight: Annotated[Float, Field(ge=0)] = 0.01
    """First weight of the entropy bonus."""
    normalize_reward: bool = False
    """Divide rewards by the running standard deviation of the discounted return."""
    normalize_observation: bool = False
    """Shift and scale observations by their running mean and standard deviation, and cut them at 10 of these."""


class ControlConfig(RunConfig):
    """A training run on an environment of gymnax."""

    total_timesteps: Count = 500_000
    """Steps over all environments, rounded up to whole updates."""
    eval_every: Count = 50
    """Updates between validations; each writes a checkpoint, and the best by validation is kept."""
    env: str = "CartPole-v1"
    """An environment that gymnax knows by name, or your own class: `package.module:Class`."""
    env_params: Annotated[dict[str, Float], BeforeValidator(_pairs)] = Field(default={})
    """Numbers that replace fields of the environment's parameters, such as max_steps_in_episode=100."""
    observe: tuple[Annotated[Int, Field(ge=0)], ...] = ()
    """Components of the flat observation that the policy sees (default: all). Of CartPole, 0 2 leave out velocities."""
    num_envs: Annotated[Int, Field(ge=1, le=2**22)] = 4
    """E: environments that run at once."""
    eval_episodes: Count = 32
    """Episodes of a validation, by the most likely action, side by side."""
    network: ControlNetwork = ControlNetwork()
    ppo: ControlPPOConfig = ControlPPOConfig()

    @field_validator("observe")
    @classmethod
    def _once(cls, observe: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(observe)) < len(observe):
            raise ValueError("names a component twice")
        return observe

    @model_validator(mode="after")
    def _minibatches_divide(self) -> Self:
        whole = self.network.kind == "lstm"
        name, number = ("num_envs", self.num_envs) if whole else ("ppo.rollout_length", self.ppo.rollout_length)
        if number % self.ppo.minibatches:
            why = "an lstm's minibatches hold whole environments" if whole else "minibatches are cut by steps"
            raise ValueError(f"{name} {number} is not a multiple of ppo.minibatches {self.ppo.minibatches}; {why}")
        return self
