"""one branch"""
import sqlalchemy as sa
from alembic import op

revision = "v1.0.cargo"
down_revision = "a1b2c3d4e5f6"
branch_labels = ("cargo",)


def upgrade():
    op.create_table(
        "cargo",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("ship_id", sa.BigInteger, sa.ForeignKey("ships.id"), nullable=False),
        sa.Column("what", sa.String(80), nullable=False),
    )
    op.execute("CREATE MATERIALIZED VIEW loads AS SELECT ship_id, count(*) AS n FROM cargo GROUP BY ship_id")


def downgrade():
    op.execute("DROP MATERIALIZED VIEW loads")
    op.drop_table("cargo")
