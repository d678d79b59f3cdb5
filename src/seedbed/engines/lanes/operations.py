"""All lowerings, gathered: a new operation is a function in one of these modules, registered by its name."""

from seedbed.engines.lanes import choosing, elementwise, sums, views
from seedbed.engines.lanes.registry import IS_PRODUCT, OPERATIONS, VIEWS, kind_of

__all__ = ["IS_PRODUCT", "OPERATIONS", "VIEWS", "choosing", "elementwise", "kind_of", "sums", "views"]
