"""Draw generated pairs on the first two principal components of a reference set (paper, Figure 4)."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from pydantic import TypeAdapter
from sklearn.decomposition import PCA

from isheep import cli
from isheep.data.vectors import read_vectors
from isheep.files.records import InputError
from isheep.report.figures import ProjectionFigure, VectorFiles, check_resolved
from isheep.report.plotting import (
    GENERATED,
    REFERENCE,
    add_figure_arguments,
    finish,
    house_style,
    is_lowest,
    panel_grid,
    save,
)
from isheep.seeding import derive_seed


def main(arguments: argparse.Namespace) -> None:
    """Write the figure and the projected points."""
    figure = ProjectionFigure.model_validate_json(arguments.figure)
    files = {f.iteration: f.paths for f in TypeAdapter(list[VectorFiles]).validate_json(arguments.vectors)}
    check_resolved("--vectors", figure.iterations, files)
    ids, vectors = read_vectors([arguments.reference])
    components = fit_components(vectors, arguments.reference)
    clouds = [project(components, ids, vectors, figure.sample, arguments.seed, iteration=0)]
    counts = {0: len(ids)}
    for iteration in sorted(files):
        ids, vectors = read_vectors(files[iteration], hidden=components.n_features_in_)
        clouds.append(project(components, ids, vectors, figure.sample, arguments.seed, iteration))
        counts[iteration] = len(ids)
    points = pandas.concat(clouds, ignore_index=True)
    with house_style():
        drawing = draw_projection(points, counts, components.explained_variance_ratio_, figure)
        save(drawing, figure.caption, points, arguments)
    print(f"{arguments.svg}: {len(points)} points")


def fit_components(reference: np.ndarray, path: Path) -> PCA:
    """Return the first two principal components of the reference vectors (n, hidden)."""
    # In double precision: a few numbers of a language model's vectors are thousands of times larger than the rest.
    reference = reference.astype(np.float64)
    if len(reference) < 3 or not (reference != reference[0]).any():
        raise InputError(f"{path}: two components need at least 3 vectors that differ, found {len(reference)} vectors.")
    return PCA(n_components=2, svd_solver="arpack", random_state=0).fit(reference)


def project(
    components: PCA, ids: np.ndarray, vectors: np.ndarray, sample: int, seed: int, iteration: int
) -> pandas.DataFrame:
    """Draw `sample` vectors (all of them, if there are fewer) without replacement and project them.

    Returns set, iteration (0 for the reference), id, component_1 and component_2, in the order of the files.
    """
    generator = np.random.default_rng(derive_seed(seed, "projection", iteration))
    chosen = np.sort(generator.choice(len(ids), min(sample, len(ids)), replace=False))
    places = components.transform(vectors[chosen].astype(np.float64))
    return pandas.DataFrame(
        {
            "set": "generated" if iteration else "reference",
            "iteration": iteration,
            "id": ids[chosen],
            "component_1": places[:, 0],
            "component_2": places[:, 1],
        }
    )


def draw_projection(
    points: pandas.DataFrame, counts: dict[int, int], explained: Sequence[float], figure: ProjectionFigure
) -> Figure:
    """Draw a panel for each iteration: its points above those of the reference.

    counts: vectors of each iteration, and of the reference under 0. explained: each component's share of variance.
    """
    iterations = [iteration for iteration in counts if iteration]
    drawing, panels = panel_grid(len(iterations), 3.4 if len(iterations) == 1 else 2.3, sharex=True, sharey=True)
    reference = points[points["set"] == "reference"]
    names = [f"component {number}\n({share:.1%} of variance)" for number, share in enumerate(explained, start=1)]
    for axes, iteration in zip(panels, iterations, strict=True):
        generated = points[points["iteration"] == iteration]
        draw_clouds(axes, reference, generated)
        axes.set_title(f"iteration {iteration} ({len(generated):,} of {counts[iteration]:,})")
        if is_lowest(axes, panels):
            axes.set_xlabel(names[0])
            axes.tick_params(labelbottom=True)
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel(names[1])
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, linestyle="none") for look in (REFERENCE, GENERATED)
    ]
    labels = [f"reference ({len(reference):,} of {counts[0]:,})", "generated pairs"]
    note = "Principal components and shares of variance are those of the reference."
    finish(drawing, handles, labels, figure.caption, [note, *figure.notes])
    return drawing


def draw_clouds(axes: Axes, reference: pandas.DataFrame, generated: pandas.DataFrame) -> None:
    """Draw both clouds mixed, so that neither hides the other."""
    both = pandas.concat([reference, generated])
    colours = [REFERENCE.colour] * len(reference) + [GENERATED.colour] * len(generated)
    mixed = np.random.default_rng(0).permutation(len(both))
    size = np.clip(6000 / len(both), 3, 14)  # square points: few ones are drawn larger
    axes.scatter(
        both["component_1"].to_numpy()[mixed],
        both["component_2"].to_numpy()[mixed],
        s=size,
        color=np.array(colours)[mixed],
        linewidths=0,
        alpha=0.7,
        rasterized=True,
    )


parser = argparse.ArgumentParser(description=__doc__)
add_figure_arguments(parser)
parser.add_argument("--vectors", required=True, help="vectors of the generated pairs: iteration, paths of npz; JSON")
parser.add_argument("--reference", type=Path, required=True, help="vectors of the reference set, npz")
parser.add_argument("--seed", type=int, required=True, help="seed of the sample that is drawn")

if __name__ == "__main__":
    cli.run(main, parser)
