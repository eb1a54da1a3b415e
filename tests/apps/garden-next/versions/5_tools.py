"""tools, an index on a table that is there, and a value more"""
import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "e5f6a7b8c9d0"
down_revision = "d4e5f6a7b8c9"


def upgrade():
    op.execute("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'frozen'")
    op.create_table(
        "tools",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("bed_id", sa.Integer, sa.ForeignKey("beds.id"), nullable=False),
        sa.Column("fit_for", postgresql.ENUM(name="mood", create_type=False), nullable=False),
    )
    op.create_index("ix_plants_species", "plants", ["species"])


def downgrade():
    op.drop_index("ix_plants_species")
    op.drop_table("tools")
