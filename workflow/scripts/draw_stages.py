"""The picture of the workflow's stages."""

from polyticket.core.logs import logged
from polyticket.figures.stages import draw_stages

with logged(snakemake.log[0]):
    draw_stages(snakemake.output.figure)
