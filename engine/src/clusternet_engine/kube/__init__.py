"""Access to Kubernetes API servers: client, informer, work queue, controller, leader lease, events."""
