"""What a network costs: parameters, multiply-adds, and what it keeps for the backward pass."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def flops(network: nn.Module, example: torch.Tensor) -> int:
    """Multiply-adds that one more picture (1, 3, H, W) costs, in eval mode.

    Convolutions and matrix products count, attention's own among them; norms, activations and the
    routed sum do not, as the literature has it. A module that multiplies and adds by other means
    says how much by a method `extra_flops(output)`. What is computed once for a whole batch, such
    as kernels made from parameters, does not count.
    """
    return _flops(network, torch.cat([example, example])) - _flops(network, example)


def _flops(network: nn.Module, x: torch.Tensor) -> int:
    extra = 0

    def add(module: nn.Module, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal extra
        extra += module.extra_flops(output)  # type: ignore[operator]

    counted = [module for module in network.modules() if hasattr(module, "extra_flops")]
    hooks = [module.register_forward_hook(add) for module in counted]
    training = network.training
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            network.eval()(x)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    counted_twice: int = counter.get_total_flops()  # a multiply-add is two there
    return counted_twice // 2 + extra


def training_bytes(network: nn.Module, example: torch.Tensor) -> int:
    """Bytes that one more picture (1, 3, H, W) keeps alive from the forward to the backward pass.

    In training mode and in the pictures' own precision; each tensor counts once, parameters not.
    """
    kept: dict[int, int] = {}
    own = {p.untyped_storage().data_ptr() for p in [*network.parameters(), *network.buffers()]}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def total(x: torch.Tensor) -> int:
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            # The output holds the graph, and so every kept tensor, until all are counted.
            output = network(x)
            result = sum(kept.values())
        del output
        return result

    state = {name: values.clone() for name, values in network.state_dict().items()}
    training = network.training
    try:
        network.train()
        pairs = [torch.cat([example] * count) for count in (2, 3)]
        return total(pairs[1]) - total(pairs[0])
    finally:
        network.load_state_dict(state)  # the norms' statistics have moved
        network.train(training)
