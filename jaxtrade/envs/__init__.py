"""The compiled environment: the rule book under JAX, on gymnax 1.x."""

from jaxtrade.envs.trading import EnvParams, EnvState, Obs, TradingCore, TradingEnv, make_env, make_env_params

__all__ = ["EnvParams", "EnvState", "Obs", "TradingCore", "TradingEnv", "make_env", "make_env_params"]
