"""The multi-scale LSTM in PyTorch: the features extractor of the peer, on windows, with the same arithmetic as ours."""

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor


class MultiScaleExtractor(BaseFeaturesExtractor):
    """One `nn.LSTM` a branch over the last rows of the window; their last hidden states, then the account."""

    def __init__(
        self, space: gymnasium.spaces.Box, window: int, features: int, branches: Sequence[int], hidden: int
    ) -> None:
        account = int(space.shape[0]) - window * features
        super().__init__(space, hidden * len(branches) + account)
        self.window, self.features, self.branches = window, features, tuple(branches)
        self.lstms = torch.nn.ModuleList(torch.nn.LSTM(features, hidden, batch_first=True) for _ in branches)

    def forward(self, seen: torch.Tensor) -> torch.Tensor:
        """Map observations [B, window * features + account] to [B, branches * hidden + account]."""
        width = self.window * self.features
        rows = seen[:, :width].reshape(-1, self.window, self.features)
        pairs = zip(self.lstms, self.branches, strict=True)
        last = [lstm(rows[:, self.window - length :])[1][0][0] for lstm, length in pairs]
        return torch.cat([*last, seen[:, width:]], dim=1)

    def take(self, params: Mapping[str, Any]) -> None:
        """Take the weights of our encoder: `lstm_<length>` of `MultiScaleLSTM`; gates i, f, g, o in both."""
        with torch.no_grad():
            for lstm, length in zip(self.lstms, self.branches, strict=True):
                ours = {name: torch.from_numpy(np.array(leaf)) for name, leaf in params[f"lstm_{length}"].items()}
                lstm.weight_ih_l0.copy_(ours["kernel_x"].T)
                lstm.weight_hh_l0.copy_(ours["kernel_h"].T)
                lstm.bias_ih_l0.copy_(ours["bias"])
                lstm.bias_hh_l0.zero_()
