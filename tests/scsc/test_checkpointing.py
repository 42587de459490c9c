import copy

import pytest
import torch

from scsc import scsc_resnet50, swin_t
from tests.scsc.networks import HOSTS


@pytest.mark.parametrize("name", ["resnet", "scsc_resnet", "scsc_swin"])
def test_training_is_the_same_with_less_kept(name: str):
    torch.manual_seed(0)
    kept = HOSTS[name][0]().train()
    saving = copy.deepcopy(kept)
    saving.save_memory = True
    x = torch.randn(3, 3, 64, 64)
    for network in (kept, saving):
        torch.manual_seed(1)  # the same pictures lose their branch
        network(x).square().sum().backward()
    for (part, mine), theirs in zip(saving.named_parameters(), kept.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, msg=part)
    running = [(k, v) for k, v in saving.state_dict().items() if "running" in k]
    assert running
    for part, values in running:  # moved once, not again in the second pass
        torch.testing.assert_close(values, kept.state_dict()[part], msg=part)


def test_every_block_is_computed_twice():
    network = HOSTS["scsc_resnet"][0]().train()
    network.save_memory = True
    passes = []
    network.stages[1][0].register_forward_pre_hook(lambda *_: passes.append(1))
    network(torch.randn(2, 3, 64, 64)).sum().backward()
    assert len(passes) == 2


def test_the_builders_pass_the_choice_on():
    with torch.device("meta"):
        assert scsc_resnet50(save_memory=True).save_memory
        assert not swin_t().save_memory
