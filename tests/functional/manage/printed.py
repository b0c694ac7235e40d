"""What nova-manage prints, read again."""

from tests.functional.cloud import wait


def table(said):
    """The rows of the last table that was printed, as dictionaries."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if line[0] == "|"]
    head, *rows = [row for row in cells if len(row) == len(cells[-1])]
    return [dict(zip(head, row, strict=True)) for row in rows]


def paused(operator):
    def is_paused():
        rows = table(operator("operation", "list")[1])
        return rows if rows and "next look in 9 h" in rows[0]["Waits for"] else None

    return wait(is_paused, "the undo waits for its next try")
