"""Lineage for others: what ran, on which versions of what, as OpenLineage events. Needs the extra `openlineage`."""
