"""Station `order_telling`: an order that changed becomes a ServiceRequest."""
