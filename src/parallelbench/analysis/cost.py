"""What decoding cost: forwards, canvases in them, and time."""

import pandas as pd

from parallelbench.analysis.curves import natural_key

KEYS = ["model", "method", "setting"]
COLUMNS = [*KEYS, "lanes", "failed", "nfe", "rows", "forwards", "seconds", "seconds_a_lane", "tokens_a_second"]


def cost(frame: pd.DataFrame) -> pd.DataFrame:
    """What the lanes of every (model, method, setting) cost.

    Columns: lanes, failed (those of them that ended in an error), nfe and rows (mean a finished lane), forwards
    (sum of the NFE: what the lanes would have needed alone), seconds (sum of the lanes' shares of the time, on
    whatever machine they ran), seconds_a_lane, tokens_a_second (tokens up to the first end of text over
    seconds). How many forwards were really executed, identical canvases being forwarded once, is told a run:
    see `runs.store.Store.executions`.

    Args:
        frame: lanes from the store.
    """
    table = frame.drop_duplicates("lane_id").assign(failed=lambda t: t["error"].notna())
    done = table[~table["failed"]]
    groups, ended = table.groupby(KEYS, sort=True), done.groupby(KEYS, sort=True)
    result = pd.DataFrame({"lanes": groups.size(), "failed": groups["failed"].sum()})
    result[["nfe", "rows"]] = ended[["nfe", "rows"]].mean()
    result["forwards"] = ended["nfe"].sum()
    result[["seconds", "tokens"]] = ended[["seconds", "effective_tokens"]].sum()
    result["seconds_a_lane"] = ended["seconds"].mean()
    result["tokens_a_second"] = (result["tokens"] / result["seconds"]).where(result["seconds"] > 0)
    result[["forwards", "seconds"]] = result[["forwards", "seconds"]].fillna(0)
    result = result.reset_index()[COLUMNS]
    names = [(str(row.model), str(row.method), natural_key(str(row.setting))) for row in result.itertuples()]
    order = sorted(range(len(names)), key=names.__getitem__)
    return result.iloc[order].reset_index(drop=True)
