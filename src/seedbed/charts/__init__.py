"""Charts: what each shows, as tables of plain values, and how that is drawn. ``seedbed.plot`` is their public face."""
