"""a better name"""
import sqlalchemy as sa
from alembic import op

revision = "0002_a_name_of_31_characters_yes"
down_revision = "0001_first"


def upgrade():
    op.rename_table("volumes", "books")
    op.add_column("books", sa.Column("shelf", sa.Integer, server_default=sa.text("nextval('shelf_number'::text::regclass)")))
    op.execute("CREATE FUNCTION lent(book integer) RETURNS bigint LANGUAGE sql AS "
               "'SELECT count(*) FROM books WHERE id = book'")


def downgrade():
    op.execute("DROP FUNCTION lent(integer)")
    op.drop_column("books", "shelf")
    op.rename_table("books", "volumes")
