# Two stages: what fetches and unpacks (npm included) stays in the first one.
FROM python:3.13-slim AS build
WORKDIR /app
COPY requirements requirements
COPY tools tools
COPY package.json package-lock.json .npmrc ./
RUN python tools/bootstrap.py runtime \
    && rm -f .venv/bin/uv .venv/bin/uvx .venv/bootstrap.log

FROM python:3.13-slim
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 CARELINE_DATA_DIR=/data
RUN useradd --system --uid 10001 --home-dir /nonexistent careline && install -d -o careline /data
WORKDIR /app
COPY --from=build /app/.venv .venv
COPY --from=build /app/static/vendor static/vendor
COPY static static
COPY templates templates
COPY locale locale
COPY migrations migrations
COPY app app
USER careline
EXPOSE 8000
CMD ["careline", "serve", "--host", "0.0.0.0"]
