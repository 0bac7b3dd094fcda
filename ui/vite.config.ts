import { defineConfig } from 'vitest/config'

// The same sources make the same bytes: what is committed is compared with what is built.
export default defineConfig({
  base: '',
  build: {
    outDir: '../bide/window',
    emptyOutDir: true,
    assetsDir: 'static',
    assetsInlineLimit: 0,
    target: 'es2022',
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  worker: { format: 'es' },
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  server: { proxy: { '/api': 'http://127.0.0.1:8765' } },
  test: { include: ['test/**/*.test.ts', 'test/**/*.test.tsx'] },
})
